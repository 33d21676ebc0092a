package app

import (
	"slices"

	"github.com/roomcast/roomcast/internal/rawws"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/namespaces"
)

// newWebSocket builds what clients find that do not speak Socket.IO: they are in
// the default namespace, like all others.
func (a *App) newWebSocket(ns namespaces.Namespace, dispatcher socketio.Dispatcher) {
	c := a.opts.Config.WebSocket
	var spoken []rawws.Dialect
	for _, d := range append(a.actionDialect(), rawws.NewService()) {
		if slices.Contains(c.Dialects, string(d.Name)) {
			spoken = append(spoken, d)
		}
	}
	if len(spoken) == 0 {
		return
	}
	a.websocket = rawws.New(rawws.Options{
		Dialects: spoken, Default: rawws.Name(c.Default), Authenticate: a.auth.Authenticate, Namespace: ns, Dispatcher: dispatcher,
		Guest: func(receive func(socketio.Delivery)) (*socketio.Guest, error) {
			return a.socket.Guest(ns.Name, receive)
		},
		Origin: a.guard().socketOrigin,
		Limits: rawws.Limits{
			PerAddress: c.PerAddress, MaxMessage: int(c.MaxMessage), SendLimit: int(c.SendLimit), Rate: c.Rate, Burst: c.Burst,
			Ping: c.Ping, Idle: c.Idle, IdleData: c.IdleData, Auth: c.AuthTimeout, Silence: c.Silence,
		},
		Logger: a.log,
	})
}
