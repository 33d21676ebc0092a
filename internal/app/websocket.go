package app

import (
	"context"
	"slices"
	"time"

	"github.com/roomcast/roomcast/auth"
	"github.com/roomcast/roomcast/events"
	"github.com/roomcast/roomcast/internal/chat"
	"github.com/roomcast/roomcast/internal/history"
	"github.com/roomcast/roomcast/internal/rawws"
	"github.com/roomcast/roomcast/internal/socketio"
	"github.com/roomcast/roomcast/namespaces"
)

// newWebSocket builds what clients find that do not speak Socket.IO: they are in
// the default namespace, like all others.
func (a *App) newWebSocket(ns namespaces.Namespace, dispatcher socketio.Dispatcher) {
	c := a.opts.Config.WebSocket
	var spoken []rawws.Dialect
	named := conversations{a.chat, a.history, a.opts.Config.Socket.HandlerTimeout}
	runs := executions{a.workflows, a.opts.Config.Socket.HandlerTimeout, &runReads{}}
	for _, d := range append(a.actionDialect(),
		rawws.NewGenesis(runs, runs),
		rawws.NewBots(named),
		rawws.NewMeet(a.meetings),
		rawws.NewService(rawws.ServiceOptions{Conversations: named, Acks: c.Service.Acks}),
	) {
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

// conversations are those of the assistant, as clients need them that call them
// by names of their own.
type conversations struct {
	chat    *chat.Service
	history *history.Service
	timeout time.Duration // of noting how far clients are
}

var _ rawws.Conversations = conversations{}

func (c conversations) Named(ctx context.Context, id *auth.Identity, tenant, name string) (roomID string, made bool, err error) {
	r, made, err := c.chat.Named(ctx, id, tenant, name)
	return r.ID, made, err
}

func (c conversations) Return(ctx context.Context, id *auth.Identity, roomID string) (since events.Since, known bool, err error) {
	offset, known, err := c.chat.Return(ctx, id, roomID)
	return events.Since{Epoch: c.history.Epoch(), Offset: offset}, known, err
}

func (c conversations) MoveCursor(ctx context.Context, id *auth.Identity, roomID string, offset uint64) error {
	ctx, cancel := c.stillGot(ctx)
	defer cancel()
	return c.chat.MoveCursor(ctx, id, roomID, offset)
}

func (c conversations) Depart(ctx context.Context, id *auth.Identity, roomID string, offset uint64) error {
	ctx, cancel := c.stillGot(ctx)
	defer cancel()
	return c.chat.Depart(ctx, id, roomID, offset)
}

// stillGot is for noting what a client has got that may have gone.
func (c conversations) stillGot(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
}

func (a *App) drainWebSockets(ctx context.Context) error {
	if a.websocket != nil {
		a.websocket.Drain(ctx, a.opts.Config.Server.DrainWindow)
	}
	return nil
}

func (a *App) closeWebSockets(ctx context.Context) error {
	if a.websocket == nil {
		return nil
	}
	return a.websocket.Close(ctx)
}

// websockets returns how many connections there are of each dialect, nil if none
// is spoken.
func (a *App) websockets() map[string]int {
	if a.websocket == nil {
		return nil
	}
	n := make(map[string]int)
	for dialect, count := range a.websocket.Stats() {
		n[string(dialect)] = count
	}
	return n
}
