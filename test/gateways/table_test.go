// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package gateways tests the product behind real gateways, with the configurations
// of config/gateways as they are, with real clients, and against attackers.
//
// It is a module of its own: what gateways and clients need is not what the
// product needs, and stays out of its go.mod.
package gateways

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/hack/gateways"
	"github.com/hexcovery/apikey-operator/test/gateways/replay"
	"github.com/hexcovery/apikey-operator/test/gateways/rig"
)

// configFolder is for the gateways that -run selects: TestMutants breaks a
// configuration, and has this test run again.
var configFolder = flag.String("config", "", "folder of the gateway's configuration, in place of that in config/gateways")

// world is one column of the table: a gateway, and what is around it.
type world struct {
	// http and h2c are where it speaks HTTP/1.1 and HTTP/2 with clients.
	http, h2c string
	registry  *rig.Registry
	sessions  *rig.Sessions
	// auth is the switch between the gateway and the auth server; nil if it is the
	// auth server itself.
	auth *rig.Switch
	// authServer is where auth leads to.
	authServer string
	upstream   *rig.Upstream
	// way is the switch between the gateway and the upstream.
	way *rig.Switch
	// manners are where the gateway differs.
	manners manners
	// limited is whether the check that runs is beyond this gateway.
	limited bool
}

// manners are in what gateways may differ and still be safe.
type manners struct {
	// normalizes: a path is normalized before the question, and the upstream gets what
	// was judged.
	normalizes bool
	// refusesNames: a request with a look-alike name is refused by the gateway itself.
	refusesNames bool
	// grpcByType: who says Content-Type: application/grpc is a client of gRPC, whatever
	// the protocol.
	grpcByType bool
}

// column starts a gateway. It ends with the test.
type column struct {
	name  string
	start func(*testing.T, *world)
	// differs are the checks that the gateway does not pass, for a reason that its page
	// tells.
	differs []string
}

// columns are the gateways of config/gateways that run here, the replays of others, and
// the built-in proxy.
func columns() []column {
	var all []column
	for _, program := range gateways.All() {
		all = append(all, column{name: program.Name, start: func(t *testing.T, w *world) { startGateway(t, program, w) }, differs: beyond[program.Name]})
	}
	for _, program := range replay.All() {
		all = append(all, column{name: program.Name, start: func(t *testing.T, w *world) { startReplay(t, w, program) }, differs: beyond[program.Name]})
	}
	return append(all, column{name: "proxy", start: startProxy})
}

// check is one row of the table.
type check struct {
	name string
	// apart: it is about an auth server that is another program than the gateway.
	apart bool
	// limits are the gateways that cannot do it: the check then makes sure that this
	// is still so, and docs/gateways says what it means.
	limits []string
	run    func(*testing.T, *world)
}

// checks are the rows, in the order of the table.
func checks() []check {
	return slices.Concat(allowedChecks, sessionChecks, refusedChecks, undecidedChecks, headerChecks, pathChecks, grpcChecks)
}

// TestGateways fills the table.
func TestGateways(t *testing.T) {
	table := newTable()
	t.Cleanup(func() { table.print(os.Stdout) })
	for _, column := range columns() {
		t.Run(column.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			column.start(t, w)
			began := time.Now()
			for _, check := range checks() {
				if check.apart && w.auth == nil {
					table.set(check.name, column.name, notApplicable)
					continue
				}
				if slices.Contains(column.differs, check.name) {
					table.set(check.name, column.name, differs)
					continue
				}
				w.limited = slices.Contains(check.limits, column.name)
				cell := failed
				if t.Run(check.name, func(t *testing.T) { check.run(t, w) }) {
					cell = map[bool]string{false: ok, true: limit}[w.limited]
				}
				table.set(check.name, column.name, cell)
			}
			fmt.Fprintf(os.Stdout, "gateways: %s: %d checks in %.1f s\n", column.name, len(checks()), time.Since(began).Seconds())
		})
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	upstream := rig.StartUpstream(t)
	return &world{registry: &rig.Registry{}, sessions: rig.NewSessions(t), upstream: upstream, way: rig.NewSwitch(t, upstream.Address)}
}

// startGateway puts a real gateway into the world.
func startGateway(t *testing.T, program gateways.Program, w *world) {
	t.Helper()
	w.authServer = rig.StartAuthServer(t, w.registry, w.sessions, "").Gateways
	w.auth = rig.NewSwitch(t, w.authServer)
	options := gateways.Options{
		AuthServer: w.auth.Address, Upstream: w.way.Address,
		Dir: t.TempDir(), Log: os.Stdout, Config: *configFolder,
	}
	gateway, err := program.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(gateway.LogTail())
		}
		if err := gateway.Stop(); err != nil {
			t.Error(err)
		}
	})
	w.http, w.h2c = gateway.HTTP, gateway.H2C
	fmt.Fprintf(os.Stdout, "gateways: %s is ready\n", program.Name)
}

// startProxy has the auth server be the gateway.
func startProxy(t *testing.T, w *world) {
	t.Helper()
	server := rig.StartAuthServer(t, w.registry, w.sessions, "http://"+w.way.Address)
	w.http, w.h2c = server.Proxy, server.Proxy
}

// eventually waits until the condition holds: for what another process does without
// telling.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		case <-ticker.C:
		}
	}
}

// What a cell of the table says.
const (
	ok            = "ok"
	failed        = "FAILED"
	limit         = "limit"
	notApplicable = "-"
	differs       = "differs"
)

// table has a row for each check and a column for each gateway.
type table struct {
	mu    sync.Mutex
	cells map[[2]string]string
}

func newTable() *table { return &table{cells: map[[2]string]string{}} }

func (t *table) set(row, column, cell string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cells[[2]string{row, column}] = cell
}

// print shows it. A cell that is empty was not run; what "limit" means is in the
// gateway's page in docs/gateways.
func (t *table) print(out *os.File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	width := 0
	for _, check := range checks() {
		width = max(width, len(check.name))
	}
	fmt.Fprintf(out, "\n%-*s", width, "")
	for _, column := range columns() {
		fmt.Fprintf(out, "  %-10s", column.name)
	}
	fmt.Fprintln(out)
	for _, check := range checks() {
		fmt.Fprintf(out, "%-*s", width, check.name)
		for _, column := range columns() {
			fmt.Fprintf(out, "  %-10s", t.cells[[2]string{check.name, column.name}])
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out)
}
