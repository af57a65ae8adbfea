// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bufio"
	"context"
	wire "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// ErrNoEtcdLink is returned by HoldEtcdWatches without Options.EtcdLink.
var ErrNoEtcdLink = errors.New("the control plane was started without EtcdLink")

// HoldEtcdWatches holds back what etcd tells watches of keys that begin with prefix, such as "/registry/leases/", until
// release is called. So kube-apiserver's watch cache of that kind falls behind, as it does when etcd is overloaded: lists at
// resourceVersion "0" are old, watches bring nothing. Reads of the present, and writes, go on.
func (cp *ControlPlane) HoldEtcdWatches(prefix string) (release func(), err error) {
	if cp.etcdLink == nil {
		return nil, ErrNoEtcdLink
	}
	return cp.etcdLink.hold(prefix), nil
}

// etcdLink is a proxy between kube-apiserver and etcd. They speak gRPC, which is HTTP/2, without TLS; this knows as much of it
// as it takes to tell watches from the rest. kube-apiserver has a connection, and on it a stream of watches, for each kind.
type etcdLink struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	held  map[string]int
	pipes map[*etcdPipe]struct{}
}

func startEtcdLink(ctx context.Context, target string) (*etcdLink, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("link to etcd: %w", err)
	}
	l := &etcdLink{listener: listener, target: target, held: map[string]int{}, pipes: map[*etcdPipe]struct{}{}}
	go l.serve()
	return l, nil
}

// url is where kube-apiserver reaches etcd.
func (l *etcdLink) url() string { return "http://" + l.listener.Addr().String() }

// serve ends when the listener is closed.
func (l *etcdLink) serve() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := (&net.Dialer{}).Dial("tcp", l.target)
		if err != nil {
			_ = client.Close() // etcd is about to be started again, perhaps
			continue
		}
		p := &etcdPipe{link: l, client: client, server: server, watches: map[uint32]string{}}
		l.mu.Lock()
		l.pipes[p] = struct{}{}
		l.mu.Unlock()
		go p.run()
	}
}

func (l *etcdLink) hold(prefix string) (release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[prefix]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.held[prefix]--; l.held[prefix] == 0 {
			delete(l.held, prefix)
		}
		for p := range l.pipes {
			p.flush()
		}
	})
}

// holds reports whether watches of key bring nothing now; l.mu is held.
func (l *etcdLink) holds(key string) bool {
	for prefix := range l.held {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (l *etcdLink) close() error {
	err := l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pipes {
		p.close()
	}
	return err
}

// etcdPipe is one connection of kube-apiserver's.
type etcdPipe struct {
	link           *etcdLink
	client, server net.Conn
	// toServer is held by who writes to etcd.
	toServer sync.Mutex

	// watches are the keys that streams watch. This and what follows is guarded by the mutex of link, which is also held by
	// who writes to kube-apiserver, so that nothing overtakes what is held back.
	watches map[uint32]string
	waiting []frame
}

// frame is a frame of HTTP/2 (RFC 9113, section 4.1), its header included.
type frame []byte

const (
	frameHeader       = 9
	frameData         = 0x0
	frameWindowUpdate = 0x8
)

func (f frame) kind() byte      { return f[3] }
func (f frame) stream() uint32  { return wire.BigEndian.Uint32(f[5:]) &^ (1 << 31) }
func (f frame) payload() []byte { return f[frameHeader:] }

func readFrame(r io.Reader) (frame, error) {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	length := int(header[0])<<16 | int(header[1])<<8 | int(header[2])
	f := make(frame, frameHeader+length)
	copy(f, header[:])
	_, err := io.ReadFull(r, f.payload())
	return f, err
}

// credit is a WINDOW_UPDATE: it lets the other side send as many bytes more.
func credit(stream uint32, bytes int) frame {
	f := frame{0, 0, 4, frameWindowUpdate, 0}
	f = wire.BigEndian.AppendUint32(f, stream)
	return wire.BigEndian.AppendUint32(f, uint32(bytes))
}

func (p *etcdPipe) run() {
	var both sync.WaitGroup
	both.Go(func() { _ = p.forward() })
	both.Go(func() { _ = p.back() })
	both.Wait()
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	delete(p.link.pipes, p)
}

func (p *etcdPipe) close() { _, _ = p.client.Close(), p.server.Close() }

// forward takes requests to etcd, and notes what is watched.
func (p *etcdPipe) forward() error {
	defer p.close()
	r := bufio.NewReader(p.client)
	preface := make([]byte, len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	if _, err := io.ReadFull(r, preface); err != nil {
		return err
	}
	if err := p.send(preface); err != nil {
		return err
	}
	for {
		f, err := readFrame(r)
		if err != nil {
			return err
		}
		if f.kind() == frameData {
			if key := watchedKey(f.payload()); key != "" {
				p.link.mu.Lock()
				p.watches[f.stream()] = key
				p.link.mu.Unlock()
			}
		}
		if err := p.send(f); err != nil {
			return err
		}
	}
}

func (p *etcdPipe) send(data []byte) error {
	p.toServer.Lock()
	defer p.toServer.Unlock()
	_, err := p.server.Write(data)
	return err
}

// back takes answers to kube-apiserver.
func (p *etcdPipe) back() error {
	defer p.close()
	r := bufio.NewReader(p.server)
	for {
		f, err := readFrame(r)
		if err != nil {
			return err
		}
		held, err := p.answer(f)
		if err != nil {
			return err
		}
		if length := len(f.payload()); held && length > 0 {
			// etcd must not stop, on this connection, because nobody takes what is held.
			if err := errors.Join(p.send(credit(0, length)), p.send(credit(f.stream(), length))); err != nil {
				return err
			}
		}
	}
}

// answer writes a frame to kube-apiserver, or holds it back.
func (p *etcdPipe) answer(f frame) (held bool, err error) {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	if key := p.watches[f.stream()]; f.kind() == frameData && key != "" && p.link.holds(key) {
		p.waiting = append(p.waiting, f)
		return true, nil
	}
	_, err = p.client.Write(f)
	return false, err
}

// flush writes what is held back no more; the mutex of link is held.
func (p *etcdPipe) flush() {
	waiting := p.waiting
	p.waiting = nil
	for _, f := range waiting {
		if p.link.holds(p.watches[f.stream()]) {
			p.waiting = append(p.waiting, f)
			continue
		}
		if _, err := p.client.Write(f); err != nil {
			return // the connection has ended
		}
	}
}

// watchedKey returns the key that a gRPC message asks to watch; "" if it is another one.
func watchedKey(data []byte) string {
	const prefix = 5 // of a gRPC message: a flag, and its length
	if len(data) < prefix {
		return ""
	}
	// WatchRequest.create_request is field 1, and its key is field 1. Other requests have the key itself there, or other
	// messages in which field 1 is no string.
	created := firstField(data[prefix:])
	return string(firstField(created))
}

// firstField returns the bytes of field 1 of a message of protobuf that begins with it, or nil.
func firstField(message []byte) []byte {
	const tag = 1<<3 | 2
	if len(message) < 2 || message[0] != tag {
		return nil
	}
	length, n := wire.Uvarint(message[1:])
	if n <= 0 || length > uint64(len(message)-1-n) {
		return nil
	}
	return message[1+n : 1+n+int(length)]
}
