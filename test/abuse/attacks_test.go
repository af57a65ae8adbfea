// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// attacker does one kind of abuse to one server.
type attacker struct {
	*server
	// up is called when what is to be held is held, or what is sent flows.
	up func()
	// answered counts answers, and ended connections that the server has closed.
	answered, ended atomic.Int64
	// filling has a count for each connection that has still to send what it is to hold.
	filling sync.WaitGroup
}

// held is a connection of an attacker.
type held struct {
	net.Conn
	full func()
}

// filled notes that a connection has sent what it is to hold.
func filled(c net.Conn) { c.(*held).full() }

// attack is one kind of abuse. It goes on until ctx is done, or as long as its bounds let
// it, and then leaves nothing behind.
type attack struct {
	name string
	run  func(ctx context.Context, a *attacker)
	// floods: the machine has no time for all of it, so what valid requests take is not
	// measured; they are answered all the same.
	floods bool
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
	a.filling.Add(count)
	// From no address in particular, and closed without a trace: else the machine would run
	// out of ports.
	dialer := &net.Dialer{Timeout: answerTimeout}
	slots := make(chan struct{}, 64) // that connect at the same time
	for range count {
		slots <- struct{}{}
		running.Go(func() {
			full := sync.OnceFunc(a.filling.Done)
			defer full()
			dialed, err := dialer.DialContext(ctx, "tcp", address)
			<-slots
			begun.Done()
			if err != nil {
				return
			}
			_ = dialed.(*net.TCPConn).SetLinger(0)
			connection := &held{dialed, full}
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
		filled(c)
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
		filled(c)
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
		_ = c.(*held).Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		drips(text, time.Second)(ctx, c)
	}
}

func (a *attacker) post(more string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\n%s\r\n", ingest, more)
}

func (a *attacker) withKey() string { return "X-API-Key: " + a.abused + "\r\n" }

// tiny is an HTTP/1.1 header of so many bytes whose fields are as small as they can be, and
// that does not end.
func tiny(size int) string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	var header strings.Builder
	header.WriteString("POST " + ingest + " HTTP/1.1\r\nHost: a\r\n")
	for i := 0; header.Len() < size; i++ {
		fmt.Fprintf(&header, "%c%c%c:\n", letters[i%26], letters[i/26%26], letters[i/676%26])
	}
	return header.String()
}
