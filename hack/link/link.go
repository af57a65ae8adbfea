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
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Link is the network between one program and a server, as a proxy that can fail as
// networks and load balancers do.
//
// Stall holds back all bytes, of connections that there are and of new ones, in one
// direction or in both, and closes nothing: a partition. HoldRequests, HoldAnswers
// and Refuse are about some requests: the proxy ends TLS, so it sees them.
type Link struct {
	// URL is where the program reaches the server.
	URL string

	server *http.Server
	proxy  *httputil.ReverseProxy
	ca     []byte
	// requests and answers are passed by the bytes of either direction.
	requests, answers *gate

	mu    sync.Mutex
	holds []*Hold
}

// Match chooses requests.
type Match func(*http.Request) bool

// Watches chooses watches.
func Watches(r *http.Request) bool {
	watch := r.URL.Query().Get("watch")
	return watch == "true" || watch == "1"
}

// Hold has some requests wait, or refuses them, until it is released.
type Hold struct {
	match Match
	stage stage
	link  *Link

	once     sync.Once
	caught   chan struct{}
	released chan struct{}
}

// stage is what a Hold does.
type stage int

const (
	holdRequests stage = iota
	holdAnswers
	refuse
)

// ToAPIServer starts a Link to the API server that config names.
func ToAPIServer(ctx context.Context, config *rest.Config) (*Link, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.CAData) {
		return nil, errors.New("link: the API server has no certificate authority")
	}
	certificate, ca := loopbackCertificate()
	l, listener, err := newLink(ctx, "https", config.Host)
	if err != nil {
		return nil, err
	}
	l.ca = ca
	l.proxy.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	l.proxy.ErrorHandler = unreachable
	l.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	go func() { _ = l.server.ServeTLS(listener, "", "") }()
	return l, nil
}

// newLink returns one that does not serve yet.
func newLink(ctx context.Context, scheme, server string) (*Link, net.Listener, error) {
	target, err := url.Parse(server)
	if err != nil {
		return nil, nil, fmt.Errorf("link: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, fmt.Errorf("link: %w", err)
	}
	l := &Link{URL: scheme + "://" + listener.Addr().String(), requests: newGate(), answers: newGate()}
	// A program that is killed in the midst of an answer is no news here.
	silent := log.New(io.Discard, "", 0)
	l.proxy = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval:  -1,
		ModifyResponse: l.answered,
		ErrorLog:       silent,
	}
	l.server = &http.Server{Handler: l, ErrorLog: silent, ReadHeaderTimeout: time.Minute}
	return l, &gatedListener{Listener: listener, in: l.requests, out: l.answers}, nil
}

// loopbackCertificate returns a certificate for 127.0.0.1, and itself in PEM.
func loopbackCertificate() (tls.Certificate, []byte) {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	return server.TLS.Certificates[0], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// unreachable drops the connection when the API server does.
func unreachable(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }

// Through has a client of the API server go through the link.
func (l *Link) Through(config *rest.Config) { config.Host, config.CAData = l.URL, l.ca }

// Direction is one of the two of a Link.
type Direction int

const (
	// Requests go to the API server.
	Requests Direction = iota
	// Answers, and the events of watches, come from it.
	Answers
)

// Stall lets no more bytes through in this direction, until Flow.
func (l *Link) Stall(d Direction) {
	if d == Requests {
		l.requests.set(true)
		return
	}
	l.answers.set(true)
}

// Cut stalls both directions.
func (l *Link) Cut() {
	l.Stall(Requests)
	l.Stall(Answers)
}

// Flow ends all stalls. What was held back arrives, in its order.
func (l *Link) Flow() {
	l.requests.set(false)
	l.answers.set(false)
}

// HoldRequests has requests wait before they reach the API server.
func (l *Link) HoldRequests(match Match) *Hold { return l.hold(match, holdRequests) }

// HoldAnswers has answers wait that the API server has given, and the events of
// watches that it has sent.
func (l *Link) HoldAnswers(match Match) *Hold { return l.hold(match, holdAnswers) }

// Refuse has requests be answered with 503, and does not forward them.
func (l *Link) Refuse(match Match) *Hold { return l.hold(match, refuse) }

func (l *Link) hold(match Match, stage stage) *Hold {
	h := &Hold{match: match, stage: stage, link: l, caught: make(chan struct{}), released: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holds = append(l.holds, h)
	return h
}

// Caught is closed when the first request was caught.
func (h *Hold) Caught() <-chan struct{} { return h.caught }

// Release lets go what was caught, and catches nothing more.
func (h *Hold) Release() {
	h.link.mu.Lock()
	defer h.link.mu.Unlock()
	before := len(h.link.holds)
	h.link.holds = slices.DeleteFunc(h.link.holds, func(other *Hold) bool { return other == h })
	if len(h.link.holds) < before {
		close(h.released)
	}
}

// caughtBy returns the first Hold for this request at this stage, or nil.
func (l *Link) caughtBy(r *http.Request, s stage) *Hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range l.holds {
		if h.stage == s && h.match(r) {
			h.once.Do(func() { close(h.caught) })
			return h
		}
	}
	return nil
}

// pass waits until nothing holds the request at this stage.
func (l *Link) pass(r *http.Request, s stage) error {
	for {
		h := l.caughtBy(r, s)
		if h == nil {
			return nil
		}
		select {
		case <-h.released:
		case <-r.Context().Done():
			return context.Cause(r.Context())
		}
	}
}

// ServeHTTP forwards a request.
func (l *Link) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.caughtBy(r, refuse) != nil {
		http.Error(w, "refused by a test", http.StatusServiceUnavailable)
		return
	}
	if l.pass(r, holdRequests) != nil {
		return // whoever asked has given up
	}
	l.proxy.ServeHTTP(w, noteWatchedKey(r))
}

// answered is called when the API server has answered.
func (l *Link) answered(response *http.Response) error {
	request := response.Request
	if Watches(request) || watchedKey(request) != nil {
		response.Body = &heldBody{ReadCloser: response.Body, pass: func() error { return l.pass(request, holdAnswers) }}
	}
	return l.pass(request, holdAnswers)
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

// Close ends the link and every connection through it.
func (l *Link) Close() error {
	l.Flow()
	l.mu.Lock()
	for _, h := range l.holds {
		close(h.released)
	}
	l.holds = nil
	l.mu.Unlock()
	return l.server.Close()
}
