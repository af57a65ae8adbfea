// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"

	"k8s.io/client-go/rest"
)

// Link is the network between one program and a server, as a proxy that can fail as
// networks and load balancers do.
//
// Stall holds back all bytes, of connections that there are and of new ones, in one
// direction or in both, and closes nothing: a partition. HoldRequests, HoldAnswers
// and Refuse are about some requests: the proxy ends TLS, so it sees them.
type Link struct {
	server *httptest.Server
	proxy  *httputil.ReverseProxy
	// gates are passed by the bytes of each Direction.
	gates [2]*gate

	mu sync.Mutex
	// holds are all that there were. One that was released catches nothing.
	holds []*Hold
}

// Direction is one of the two of a Link.
type Direction int

const (
	// Requests go to the server.
	Requests Direction = iota
	// Answers, and the events of watches, come from it.
	Answers
	// nowhere is where requests go that are refused.
	nowhere
)

// Match chooses requests.
type Match func(*http.Request) bool

// Watches chooses watches, of the API server and of etcd.
func Watches(r *http.Request) bool {
	watch := r.URL.Query().Get("watch")
	return watch == "true" || watch == "1" || r.URL.Path == "/etcdserverpb.Watch/Watch"
}

// Hold has some requests wait, or refuses them, until it is released.
type Hold struct {
	match     Match
	direction Direction

	// caught is done when the first request was caught, and released when nothing is any more.
	caught, released context.Context
	catch, release   context.CancelFunc
}

// ToAPIServer starts a Link to the API server that config names.
func ToAPIServer(config *rest.Config) (*Link, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.CAData) {
		return nil, errors.New("link: the API server has no certificate authority")
	}
	l, err := newLink(config.Host)
	if err != nil {
		return nil, err
	}
	l.proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	// It drops the connection when the API server does.
	l.proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	l.server.EnableHTTP2 = true
	l.server.StartTLS()
	return l, nil
}

// ToEtcd starts a Link to etcd, for kube-apiserver. They speak gRPC, which is HTTP/2,
// without TLS.
func ToEtcd(etcd string) (*Link, error) {
	l, err := newLink(etcd)
	if err != nil {
		return nil, err
	}
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	l.proxy.Transport = &http.Transport{Protocols: &h2c}
	// gRPC takes this status for Unavailable, as it does a connection that is refused.
	l.proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusServiceUnavailable) }
	l.server.Config.Protocols = &h2c
	l.server.Start()
	return l, nil
}

// newLink returns one that does not serve yet.
func newLink(server string) (*Link, error) {
	target, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	l := &Link{gates: [2]*gate{newGate(), newGate()}}
	// A program that is killed in the midst of an answer is no news here.
	silent := log.New(io.Discard, "", 0)
	l.proxy = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval:  -1,
		ModifyResponse: l.answered,
		ErrorLog:       silent,
	}
	l.server = httptest.NewUnstartedServer(l)
	l.server.Config.ErrorLog = silent
	l.server.Listener = &gatedListener{l.server.Listener, l}
	return l, nil
}

// URL is where the program reaches the server.
func (l *Link) URL() string { return l.server.URL }

// Through has a client of the API server go through the link.
func (l *Link) Through(config *rest.Config) {
	config.Host = l.URL()
	config.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.server.Certificate().Raw})
}

// Stall lets no more bytes through in this direction, until Flow.
func (l *Link) Stall(d Direction) { l.gates[d].set(true) }

// Cut stalls both directions.
func (l *Link) Cut() {
	l.Stall(Requests)
	l.Stall(Answers)
}

// Flow ends all stalls. What was held back arrives, in its order.
func (l *Link) Flow() {
	for _, g := range l.gates {
		g.set(false)
	}
}

// HoldRequests has requests wait before they reach the server.
func (l *Link) HoldRequests(match Match) *Hold { return l.hold(match, Requests) }

// HoldAnswers has answers wait that the server has given, and the events of watches that
// it has sent.
func (l *Link) HoldAnswers(match Match) *Hold { return l.hold(match, Answers) }

// Refuse has requests be answered with 503, and does not forward them.
func (l *Link) Refuse(match Match) *Hold { return l.hold(match, nowhere) }

func (l *Link) hold(match Match, d Direction) *Hold {
	h := &Hold{match: match, direction: d}
	h.caught, h.catch = context.WithCancel(context.Background())
	h.released, h.release = context.WithCancel(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds = append(l.holds, h)
	return h
}

// Caught is closed when the first request was caught.
func (h *Hold) Caught() <-chan struct{} { return h.caught.Done() }

// Release lets go what was caught, and catches nothing more.
func (h *Hold) Release() { h.release() }

// caughtBy returns the first Hold for this request on its way in this direction, or nil.
func (l *Link) caughtBy(r *http.Request, d Direction) *Hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.holds {
		if h.direction == d && h.released.Err() == nil && h.match(r) {
			h.catch()
			return h
		}
	}
	return nil
}

// pass waits until nothing holds the request on its way in this direction.
func (l *Link) pass(r *http.Request, d Direction) error {
	for {
		h := l.caughtBy(r, d)
		if h == nil {
			return nil
		}
		select {
		case <-h.released.Done():
		case <-r.Context().Done():
			return context.Cause(r.Context())
		}
	}
}

// ServeHTTP forwards a request.
func (l *Link) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.caughtBy(r, nowhere) != nil {
		http.Error(w, "refused by a test", http.StatusServiceUnavailable)
		return
	}
	if l.pass(r, Requests) != nil {
		return // whoever asked has given up
	}
	l.proxy.ServeHTTP(w, r)
}

// answered is called when the server has answered.
func (l *Link) answered(response *http.Response) error {
	request := response.Request
	if Watches(request) {
		response.Body = &heldBody{ReadCloser: response.Body, pass: func() error { return l.pass(request, Answers) }}
	}
	return l.pass(request, Answers)
}

// heldBody holds back what comes in a watch.
type heldBody struct {
	io.ReadCloser
	pass func() error
}

func (b *heldBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if held := b.pass(); held != nil {
		return 0, held
	}
	return n, err
}

// Close ends the link and every connection through it, and so whatever waits.
func (l *Link) Close() error {
	l.Flow()
	return l.server.Config.Close()
}
