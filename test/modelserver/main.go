// Command modelserver is an endpoint of the protocol of OpenAI that does what it
// is told, for tests in other languages. It prints its address, and ends when its
// standard input does:
//
//	go run ./test/modelserver
//	http://127.0.0.1:41234/v1
//
// Package providertest says how to tell it what to do.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/roomcast/roomcast/internal/chat/provider/providertest"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s/v1\n", l.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(l, providertest.New()))
}
