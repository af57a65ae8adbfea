// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
)

// Upstream stands in for what is behind the gateway. It speaks HTTP/1 and HTTP/2 on
// one port, takes what it is given, writes down all that arrives, and does what
// clients ask for if they get this far: it switches protocols, it connects.
type Upstream struct {
	server *wire.Server

	mu      sync.Mutex
	arrived []*wire.Request
}

// StartUpstream starts one on a free port; Close ends it.
func StartUpstream() (*Upstream, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	u := &Upstream{}
	u.server = wire.Serve(listener, wire.Framing{LooseNames: true}, u.answer)
	return u, nil
}

// Address is where it listens.
func (u *Upstream) Address() string { return u.server.Address() }

// Close ends it.
func (u *Upstream) Close() { u.server.Close() }

// Quiet waits until all that was sent has arrived, where each request has a connection
// of its own.
func (u *Upstream) Quiet() bool { return u.server.Quiet(longPatience) }

// owner marks the data of an organization in an answer.
func owner(organization string) string { return fmt.Sprintf("data of <%s>", organization) }

func (u *Upstream) answer(request *wire.Request, _ *wire.Conn) *wire.Response {
	u.mu.Lock()
	u.arrived = append(u.arrived, request)
	u.mu.Unlock()

	upgrade := strings.ToLower(request.First("Upgrade"))
	switch {
	case request.Method == "CONNECT":
		return &wire.Response{Status: 200}
	case strings.HasPrefix(upgrade, "h2c") && request.Proto != "HTTP/2":
		return &wire.Response{Status: 101, Fields: []wire.Field{{Name: "Connection", Value: "Upgrade"}, {Name: "Upgrade", Value: "h2c"}}}
	case upgrade != "" && request.Proto != "HTTP/2":
		return &wire.Response{Status: 101, Fields: []wire.Field{{Name: "Connection", Value: "Upgrade"}, {Name: "Upgrade", Value: upgrade}}}
	}
	response := &wire.Response{
		Status: 200,
		Fields: []wire.Field{{Name: "Content-Type", Value: "text/plain"}},
		Body:   []byte(owner(request.First("X-Scope-OrgID")) + "\n"),
	}
	if strings.HasPrefix(request.First("Content-Type"), "application/grpc") && request.Proto == "HTTP/2" {
		response.Fields[0].Value = "application/grpc"
		response.Body = nil
		response.Trailers = []wire.Field{{Name: "grpc-status", Value: "0"}}
	}
	return response
}

// Take returns what has arrived since it was last asked.
func (u *Upstream) Take() []*wire.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	arrived := u.arrived
	u.arrived = nil
	return arrived
}
