// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

// Handler answers a request. A nil answer closes the connection, or resets the
// stream.
type Handler func(*Request, *Conn) *Response

// Server is such a server, on one address.
type Server struct {
	listener net.Listener
	framing  Framing
	handler  Handler

	mu     sync.Mutex
	conns  map[net.Conn]bool
	count  int
	closed bool
	// changed is closed when a connection ends, and then replaced.
	changed chan struct{}
	running sync.WaitGroup
}

// Conn is a connection to a Server.
type Conn struct {
	net.Conn
	// Reader holds what was read ahead.
	Reader *bufio.Reader
	server *Server
	number int
	// Upstream is for handlers that forward: a connection of their own.
	Upstream net.Conn
	// UpstreamReader reads it.
	UpstreamReader *bufio.Reader
}

// Serve starts a server on a listener; Close ends it, and its connections.
func Serve(listener net.Listener, framing Framing, handler Handler) *Server {
	s := &Server{listener: listener, framing: framing, handler: handler, conns: map[net.Conn]bool{}, changed: make(chan struct{})}
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.start(conn)
		}
	})
	return s
}

func (s *Server) start(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	s.count++
	c := &Conn{Conn: conn, Reader: bufio.NewReader(conn), server: s, number: s.count}
	s.conns[conn] = true
	s.running.Go(func() {
		_ = c.serve() // how a connection of an attacker ends is nobody's concern
		conn.Close()
		if c.Upstream != nil {
			c.Upstream.Close()
		}
		s.mu.Lock()
		delete(s.conns, conn)
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	})
}

// Address is where it listens.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Quiet waits until no connection is open: whatever was sent has then been handled. It
// reports whether that was so in time.
func (s *Server) Quiet(within time.Duration) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		open, changed := len(s.conns), s.changed
		s.mu.Unlock()
		if open == 0 {
			return true
		}
		select {
		case <-changed:
		case <-deadline.C:
			return false
		}
	}
}

// Close ends the server and waits for it.
func (s *Server) Close() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (c *Conn) flush(b *bytes.Buffer) error {
	_, err := c.Write(b.Bytes())
	b.Reset()
	return err
}

// serve reads one request after the other.
func (c *Conn) serve() error {
	for first := true; ; first = false {
		if first {
			// HTTP/2 begins with what no request of HTTP/1 begins with.
			if preface, err := c.Reader.Peek(4); err == nil && string(preface) == http2.ClientPreface[:4] {
				if _, err := io.CopyN(io.Discard, c.Reader, int64(len(http2.ClientPreface))); err != nil {
					return err
				}
				return c.serve2(nil)
			}
		}
		request, err := c.server.framing.readHead(c.Reader)
		if err != nil {
			return err
		}
		request.Connection = c.number
		if strings.Contains(strings.ToLower(request.First("Expect")), "100-continue") {
			if _, err := io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n"); err != nil {
				return err
			}
		}
		// What was cut off has arrived all the same.
		cut := c.server.framing.readBody(c.Reader, request)
		response := c.server.handler(request, c)
		if response == nil || cut != nil {
			return cut
		}
		var out bytes.Buffer
		response.write1(&out, request)
		if err := c.flush(&out); err != nil {
			return err
		}
		if response.Status == 101 && strings.Contains(strings.ToLower(request.First("Upgrade")), "h2c") {
			if _, err := io.CopyN(io.Discard, c.Reader, int64(len(http2.ClientPreface))); err != nil {
				return err
			}
			return c.serve2(request)
		}
		if request.Proto == ancient || strings.Contains(strings.ToLower(request.First("Connection")), "close") ||
			request.Proto == "HTTP/1.0" && !strings.Contains(strings.ToLower(request.First("Connection")), "keep-alive") {
			return nil
		}
	}
}
