// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
)

// ToEtcd starts a Link to etcd, for kube-apiserver. They speak gRPC, which is HTTP/2,
// without TLS.
func ToEtcd(ctx context.Context, etcd string) (*Link, error) {
	l, listener, err := newLink(ctx, "http", etcd)
	if err != nil {
		return nil, err
	}
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	l.server.Protocols = &h2c
	l.proxy.Transport = &http.Transport{Protocols: &h2c}
	// gRPC takes this status for Unavailable, as it does a connection that is refused.
	l.proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusServiceUnavailable) }
	go func() { _ = l.server.Serve(listener) }()
	return l, nil
}

// WatchesEtcd chooses the streams of etcd's watches of keys that begin with prefix.
// kube-apiserver has a connection, and on it a stream of watches, for each kind.
func WatchesEtcd(prefix string) Match {
	return func(r *http.Request) bool {
		key := watchedKey(r)
		return key != nil && strings.HasPrefix(*key.Load(), prefix)
	}
}

// keyOfStream is under which the context of a stream of watches has the key that it watches.
type keyOfStream struct{}

func watchedKey(r *http.Request) *atomic.Pointer[string] {
	key, _ := r.Context().Value(keyOfStream{}).(*atomic.Pointer[string])
	return key
}

// noteWatchedKey has a stream of watches note what it watches.
func noteWatchedKey(r *http.Request) *http.Request {
	if r.URL.Path != "/etcdserverpb.Watch/Watch" {
		return r
	}
	key := &atomic.Pointer[string]{}
	key.Store(new(string))
	r = r.WithContext(context.WithValue(r.Context(), keyOfStream{}, key))
	r.Body = &watchRequests{ReadCloser: r.Body, key: key}
	return r
}

// watchRequests reads what is asked for in a stream of watches: WatchRequests, each after
// the five bytes of gRPC that say how long it is.
type watchRequests struct {
	io.ReadCloser
	key    *atomic.Pointer[string]
	unread []byte
}

func (w *watchRequests) Read(p []byte) (int, error) {
	const prefix = 5
	n, err := w.ReadCloser.Read(p)
	w.unread = append(w.unread, p[:n]...)
	for len(w.unread) >= prefix {
		end := prefix + int(binary.BigEndian.Uint32(w.unread[1:prefix]))
		if len(w.unread) < end {
			break
		}
		// WatchRequest.create_request is field 1, and its key is field 1.
		if key := firstField(firstField(w.unread[prefix:end])); len(key) > 0 {
			created := string(key)
			w.key.Store(&created)
		}
		w.unread = w.unread[end:]
	}
	return n, err
}

// firstField returns the bytes of field 1 of a message of protobuf that begins with it, or nil.
func firstField(message []byte) []byte {
	const tag = 1<<3 | 2
	if len(message) < 2 || message[0] != tag {
		return nil
	}
	length, n := binary.Uvarint(message[1:])
	if n <= 0 || length > uint64(len(message)-1-n) {
		return nil
	}
	return message[1+n : 1+n+int(length)]
}
