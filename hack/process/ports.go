// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
)

// StartAttempts bounds how often a start is tried again when a port was taken.
const StartAttempts = 3

// The range that ports are chosen from ends where most systems begin to give ports to
// connections: one of these must not get the port of a program that is about to start again.
const firstPort, endPort = 16384, 32768

// chosen has the ports that this process has chosen before: a program that is about to start,
// now or again, does not listen yet.
var chosen sync.Map

// FreeAddresses returns addresses on loopback that nobody listened on a moment ago.
func FreeAddresses(ctx context.Context, count int) (addresses []string, err error) {
	for range count {
		listener, err := listenSomewhere(ctx)
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		// All are held until all are chosen, so that none is chosen twice.
		defer func() { _ = listener.Close() }()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

// listenSomewhere listens on a port of the range or, if many are taken, on any.
func listenSomewhere(ctx context.Context) (net.Listener, error) {
	const attempts = 20
	var config net.ListenConfig
	for range attempts {
		port := firstPort + rand.IntN(endPort-firstPort)
		if _, before := chosen.LoadOrStore(port, nil); before {
			continue
		}
		if listener, err := config.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return listener, nil
		}
	}
	return config.Listen(ctx, "tcp", "127.0.0.1:0")
}

// Program is a Process, or what has one: a Manager, an AuthServer, a gateway.
type Program interface {
	Start(ctx context.Context) error
	PortTaken() bool
}

// StartOnFreePorts makes a program for so many free addresses and starts it, and makes
// another one if a port was taken between the choice of it and its use.
func StartOnFreePorts[P Program](ctx context.Context, ports int, build func(addresses []string) (P, error)) (p P, err error) {
	for attempt := 1; ; attempt++ {
		addresses, err := FreeAddresses(ctx, ports)
		if err != nil {
			return p, err
		}
		if p, err = build(addresses); err != nil {
			return p, err
		}
		err = p.Start(ctx)
		if err == nil || attempt == StartAttempts || ctx.Err() != nil || !p.PortTaken() {
			return p, err
		}
	}
}

// PortTaken reports whether the log says so.
func (p *Process) PortTaken() bool {
	data, err := os.ReadFile(p.LogPath)
	return err == nil && bytes.Contains(bytes.ToLower(data), []byte("address already in use"))
}
