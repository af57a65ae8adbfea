// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
)

// Upstream stands in for what is behind the gateway. It speaks HTTP/1 and HTTP/2 on
// one port, takes what it is given, writes down all that arrives, and does what
// clients ask for if they get this far: it switches protocols, it connects.
type Upstream struct {
	*wire.Server

	mu      sync.Mutex
	arrived []*wire.Request
}

// StartUpstream starts one on a free port, until the test ends.
func StartUpstream(t testing.TB) *Upstream {
	t.Helper()
	u := &Upstream{}
	u.Server = wire.Serve(t, wire.Framing{LooseNames: true}, u.answer)
	return u
}

// owner marks the data of an organization in an answer.
func owner(organization string) string { return "data of <" + organization + ">" }

func (u *Upstream) answer(request *wire.Request, _ *wire.Conn) *http.Response {
	u.mu.Lock()
	u.arrived = append(u.arrived, request)
	u.mu.Unlock()

	upgrade := strings.ToLower(request.First("Upgrade"))
	if strings.HasPrefix(upgrade, "h2c") {
		upgrade = "h2c" // the first of several
	}
	switch {
	case request.Method == http.MethodConnect, request.Method == http.MethodHead:
		return wire.Reply(http.StatusOK, nil, "")
	case upgrade != "" && request.Proto != "HTTP/2":
		return wire.Reply(http.StatusSwitchingProtocols, http.Header{"Connection": {"Upgrade"}, "Upgrade": {upgrade}}, "")
	case strings.HasPrefix(request.First("Content-Type"), "application/grpc") && request.Proto == "HTTP/2":
		response := wire.Reply(http.StatusOK, http.Header{"Content-Type": {"application/grpc"}}, "")
		response.Trailer = http.Header{"Grpc-Status": {"0"}}
		return response
	}
	return wire.Reply(http.StatusOK, http.Header{"Content-Type": {"text/plain"}}, owner(request.First("X-Scope-OrgID"))+"\n")
}

// Take returns what has arrived since it was last asked.
func (u *Upstream) Take() []*wire.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	arrived := u.arrived
	u.arrived = nil
	return arrived
}
