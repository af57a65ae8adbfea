// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package serving

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
)

// pipes is a listener whose connections are in memory, so that their deadlines are in the
// time of a bubble. Nothing is buffered: who does not read, holds up who writes.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return address("pipe") }

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// peer is the server's end of a connection from an address.
type peer struct {
	net.Conn
	from address
}

func (p peer) RemoteAddr() net.Addr { return p.from }

func (p *pipes) dial(from string) net.Conn {
	near, far := net.Pipe()
	p.connections <- peer{far, address(from)}
	return near
}

// world is a server in a bubble.
type world struct {
	t       *testing.T
	pipes   *pipes
	metrics *prometheus.Registry
	stalls  *Stalls
	// calls counts requests that have reached the handler.
	calls chan string
}

const stall = time.Minute

// within runs a test in virtual time, with a server.
func within(t *testing.T, limits Limits, handler func(*world, http.ResponseWriter, *http.Request), test func(*world)) {
	withinAccount(t, limits, func(w *world, rw http.ResponseWriter, r *http.Request, _ *Request) { handler(w, rw, r) }, test)
}

// withinAccount is within for a handler that settles what requests owe.
func withinAccount(t *testing.T, limits Limits, handler func(*world, http.ResponseWriter, *http.Request, *Request), test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, pipes: newPipes(), metrics: prometheus.NewRegistry(), calls: make(chan string, 100)}
		metrics := NewMetrics()
		w.metrics.MustRegister(metrics)
		w.stalls = &Stalls{Timeout: stall, Clock: clock.RealClock{}, Metrics: metrics}
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		limits.Protocols = []string{"h2", "http/1.1"}
		limited := Limit(w.pipes, "test", limits, clock.RealClock{}, metrics)
		server := &http.Server{
			Protocols: protocols, ConnState: limited.ConnState, ConnContext: limited.ConnContext, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 10 * time.Minute,
			Handler: limited.Account(func(rw http.ResponseWriter, r *http.Request, request *Request) {
				w.calls <- r.URL.Path
				handler(w, rw, r, request)
			}),
		}
		done := make(chan struct{})
		go func() { defer close(done); _ = server.Serve(limited) }()
		test(w)
		server.Close()
		<-done
		synctest.Wait()
		if left := limited.owed.Load() + limited.ending.Load(); left != 0 {
			t.Errorf("%d bytes are owed by nobody", left)
		}
	})
}

// raw is a connection that is spoken to byte by byte.
type raw struct {
	t *testing.T
	net.Conn
	answers *bufio.Reader
}

func (w *world) connect(from string) *raw {
	c := w.pipes.dial(from)
	w.t.Cleanup(func() { c.Close() })
	return &raw{w.t, c, bufio.NewReader(c)}
}

// send fails if the server does not take it.
func (c *raw) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatalf("%q: %v", text, err)
	}
}

// response reads one.
func (c *raw) response() (*http.Response, string) {
	c.t.Helper()
	response, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response, string(body)
}

// ends waits until the server has closed the connection, and returns how long that took.
func (c *raw) ends() time.Duration {
	c.t.Helper()
	began := time.Now()
	if rest, err := io.ReadAll(c.answers); len(rest) > 0 {
		c.t.Errorf("%q, %v", rest, err)
	}
	return time.Since(began)
}

// client speaks HTTP/2, or HTTP/1.1.
func (w *world) client(version int) *http.Client {
	transport := &http.Transport{
		Protocols:   new(http.Protocols),
		DialContext: func(context.Context, string, string) (net.Conn, error) { return w.pipes.dial("192.0.2.1:1"), nil },
	}
	transport.Protocols.SetHTTP1(version == 1)
	transport.Protocols.SetUnencryptedHTTP2(version == 2)
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// value returns that of a metric with these label values, in the order of their names.
func (w *world) value(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			var values []string
			for _, label := range metric.GetLabel() {
				values = append(values, label.GetValue())
			}
			if family.GetName() == name && strings.Join(values, " ") == strings.Join(labels, " ") {
				return metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// passes waits in virtual time.
func passes(d time.Duration) { <-time.After(d) }
