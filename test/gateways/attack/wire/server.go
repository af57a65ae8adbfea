// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sync/semaphore"
)

// Handler answers a request. A nil answer closes the connection, or resets the
// stream.
type Handler func(*Request, *Conn) *http.Response

// Server is such a server, on one address, until its test ends.
type Server struct {
	// Address is its host:port.
	Address string

	framing Framing
	handler Handler

	// connections has a share for each that is open.
	connections *semaphore.Weighted
	running     sync.WaitGroup
}

// all shares are more than there are connections.
const all = 1 << 20

// Conn is a connection.
type Conn struct {
	net.Conn
	// Reader holds what was read ahead.
	Reader *bufio.Reader
	// Upstream is for handlers that forward: a connection of their own, which ends with
	// this one.
	Upstream *Conn
}

// NewConn reads from the connection.
func NewConn(conn net.Conn) *Conn { return &Conn{Conn: conn, Reader: bufio.NewReader(conn)} }

// Serve starts a server on a free port of the loopback interface.
func Serve(t testing.TB, framing Framing, handler Handler) *Server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Address: listener.Addr().String(), framing: framing, handler: handler, connections: semaphore.NewWeighted(all)}
	context.AfterFunc(t.Context(), func() { listener.Close() })
	t.Cleanup(s.running.Wait)
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if s.connections.Acquire(t.Context(), 1) != nil {
				conn.Close()
				return
			}
			s.running.Go(func() { s.serve(t.Context(), NewConn(conn)) })
		}
	})
	return s
}

// Quiet waits until no connection is open: whatever was sent has then been handled. It
// reports whether that was so in time. Meanwhile, no other connection is served.
func (s *Server) Quiet(within time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if s.connections.Acquire(ctx, all) != nil {
		return false
	}
	s.connections.Release(all)
	return true
}

// serve serves a connection to its end. How one of an attacker ends is nobody's concern.
func (s *Server) serve(ctx context.Context, c *Conn) {
	defer s.connections.Release(1)
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	defer func() {
		if c.Upstream != nil {
			c.Upstream.Close()
		}
	}()
	// HTTP/2 begins with what no request of HTTP/1 begins with.
	if preface, err := c.Reader.Peek(4); err == nil && string(preface) == http2.ClientPreface[:4] {
		_ = s.serve2(c, nil)
		return
	}
	for {
		request, err := s.framing.readHead(c.Reader)
		if err != nil {
			return
		}
		if request.has("Expect", "100-continue") {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		cut := s.framing.readBody(c.Reader, request)
		response := s.handler(request, c) // what was cut off has arrived all the same
		out := bufio.NewWriter(c)
		if response == nil || cut != nil || response.Write(out) != nil || out.Flush() != nil {
			return
		}
		switch {
		case response.StatusCode == http.StatusSwitchingProtocols && request.has("Upgrade", "h2c"):
			_ = s.serve2(c, request)
			return
		case request.Proto == ancient, request.has("Connection", "close"), request.Proto == "HTTP/1.0" && !request.has("Connection", "keep-alive"):
			return
		}
	}
}

// serve2 serves what begins with a preface. The first request may be that of an upgrade.
func (s *Server) serve2(c *Conn, first *Request) error {
	if _, err := c.Reader.Discard(len(http2.ClientPreface)); err != nil {
		return err
	}
	session := newSession(c, c.Reader)
	session.encoder.SetMaxDynamicTableSizeLimit(0) // nginx wants none, and nobody minds
	_ = session.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: bigWindow})
	_ = session.WriteWindowUpdate(0, bigWindow)
	if first != nil {
		session.answer(1, s.handler(first, c))
	}
	streams := map[uint32]*Request{}
	for {
		part, err := session.Next()
		if err != nil {
			return err
		}
		request := streams[part.Stream]
		switch {
		case request == nil && part.Fields != nil:
			request = &Request{Proto: "HTTP/2", Fields: part.Fields}
			request.Method, request.Target = request.First(":method"), request.First(":path")
			streams[part.Stream] = request
		case request == nil:
			continue
		case part.Fields != nil:
			request.Trailers = part.Fields
		default:
			request.Body = append(request.Body, part.Data...)
		}
		if part.End {
			delete(streams, part.Stream)
			session.answer(part.Stream, s.handler(request, c))
		}
	}
}

func (s *Session) answer(stream uint32, response *http.Response) {
	var body []byte
	err := io.ErrUnexpectedEOF
	if response != nil {
		body, err = io.ReadAll(response.Body)
	}
	if err != nil {
		_ = s.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		return
	}
	fields := append([]Field{{":status", strconv.Itoa(response.StatusCode)}}, fieldsOf(response.Header)...)
	s.WriteMessage(stream, fields, body, fieldsOf(response.Trailer))
}

func fieldsOf(header http.Header) []Field {
	var fields []Field
	for name, values := range header {
		for _, value := range values {
			fields = append(fields, Field{strings.ToLower(name), value})
		}
	}
	return fields
}
