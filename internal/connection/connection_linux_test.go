// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package connection

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
)

func TestConnectionsThatHangAreGivenUpOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	config := &rest.Config{Host: server.URL}
	Harden(config)
	var connection atomic.Pointer[net.TCPConn]
	hardened := config.Dial
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := hardened(ctx, network, address)
		if tcp, ok := c.(*net.TCPConn); ok {
			connection.Store(tcp)
		}
		return c, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := connection.Load().SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	milliseconds := 0
	if controlErr := raw.Control(func(fd uintptr) {
		milliseconds, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	}); controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
	if milliseconds != 5000 {
		t.Errorf("what is not acknowledged is given up on after %d ms", milliseconds)
	}
}
