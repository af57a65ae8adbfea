// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package relay passes the bytes of connections on, untouched, to where its owner says
// that new ones go.
package relay

import (
	"io"
	"net"
	"sync"
	"time"
)

// Silence is a target that takes connections, and never says a word.
const Silence = ""

// dialTimeout bounds how long Close can take, where a target lets a connection wait.
const dialTimeout = 5 * time.Second

// Relay is one address. Start makes it, Close ends it.
type Relay struct {
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	targets []string
	turn    int
	refused int
	// clients are the connections that stand.
	clients map[net.Conn]bool
}

// Start takes connections from the listener, which is the Relay's from then on, to the
// targets: see Route.
func Start(listener net.Listener, targets ...string) *Relay {
	r := &Relay{listener: listener, targets: targets, clients: map[net.Conn]bool{}}
	r.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.carry(client) })
		}
	})
	return r
}

// Address is the host:port of the Relay.
func (r *Relay) Address() string { return r.listener.Addr().String() }

// Route has new connections go to these targets, each a host:port or Silence, in turn.
// Without any they are refused: closed at once.
func (r *Relay) Route(targets ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.targets = targets
}

// Targets are those of the last Route.
func (r *Relay) Targets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.targets
}

// Refused is how many connections there was no target for.
func (r *Relay) Refused() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// Cut ends every connection that stands. None that comes later goes by an earlier Route.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for client := range r.clients {
		client.Close()
	}
}

// Close ends all connections, and returns when nothing listens or stands any more. No Route
// may follow.
func (r *Relay) Close() {
	r.listener.Close()
	r.Route()
	r.Cut()
	r.running.Wait()
}

// carry connects a client with its target, until one of them has enough.
func (r *Relay) carry(client net.Conn) {
	defer client.Close()
	target, ok := r.admit(client)
	if !ok {
		return
	}
	defer r.forget(client)
	if target == Silence {
		_, _ = io.Copy(io.Discard, client)
		return
	}
	program, err := net.DialTimeout("tcp", target, dialTimeout)
	if err != nil {
		return
	}
	defer program.Close()
	var requests sync.WaitGroup
	requests.Go(func() { stream(program, client) })
	stream(client, program)
	requests.Wait()
}

// admit chooses the target in the same step in which Cut learns of the client.
func (r *Relay) admit(client net.Conn) (target string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.targets) == 0 {
		r.refused++
		return "", false
	}
	r.clients[client] = true
	r.turn++
	return r.targets[r.turn%len(r.targets)], true
}

func (r *Relay) forget(client net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.clients, client)
}

// stream copies one direction, and passes its end on.
func stream(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		_ = half.CloseWrite()
		return
	}
	to.Close()
	from.Close()
}
