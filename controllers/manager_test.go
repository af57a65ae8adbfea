// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func TestMetricsDoNotWaitForABody(t *testing.T) {
	metrics, err := server.NewServer(server.Options{BindAddress: "127.0.0.1:0", FilterProvider: ignoreBodies(clock.RealClock{})}, &rest.Config{}, http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- metrics.Start(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	bound, ok := metrics.(interface{ GetBindAddr() string })
	if !ok {
		t.Fatal("the server does not tell its address")
	}
	deadline := time.Now().Add(20 * time.Second) // a limit of this test, not a measure
	for bound.GetBindAddr() == "" && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", bound.GetBindAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(deadline)
	if _, err := io.WriteString(conn, "GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(conn)
	response, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || !response.Close {
		t.Errorf("%d, close %t", response.StatusCode, response.Close)
	}
	if _, err := io.Copy(io.Discard, answers); err != nil {
		t.Errorf("the connection is still there: %v", err)
	}
}
