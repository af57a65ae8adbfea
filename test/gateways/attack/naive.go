// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
)

// Naive is a gateway and an auth server as people write them. It has good keys only
// pass, in the name of their organization, to where they may go; but it has a
// weakness. Each function that is nil does nothing unusual.
type Naive struct {
	// Name, and what is weak in it, and who had that.
	Name, Weakness, Like string

	// framing finds the end of bodies.
	framing wire.Framing
	// skip lets requests through that are not asked about.
	skip func(*wire.Request) bool
	// skipConn does it by the connection.
	skipConn func(*wire.Request, *wire.Conn) bool
	// misread takes a refusal for a yes.
	misread func(*wire.Request) bool
	// view is the request that is asked about.
	view func(*wire.Request) (method, target string)
	// key finds the key.
	key func(*wire.Request) string
	// permits decides where a key may go.
	permits func(grant *registry.Grant, method, target string) bool
	// head makes the header that is forwarded, out of the client's without what it
	// must not say and the identity. Lines without their end.
	head func(client, identity []string) []string
	// keepTheirs sets only what the client did not.
	keepTheirs bool
}

// NaiveServer is a Naive that runs.
type NaiveServer struct {
	Naive

	Keys     *Keyring
	Upstream string
	server   *wire.Server
}

// Start starts the gateway in front of upstream; Close ends it.
func (n *Naive) Start(ring *Keyring, upstream string) (*NaiveServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &NaiveServer{Naive: *n, Keys: ring, Upstream: upstream}
	s.server = wire.Serve(listener, n.framing, s.handle)
	return s, nil
}

// Address is where it listens.
func (s *NaiveServer) Address() string { return s.server.Address() }

// Close ends it.
func (s *NaiveServer) Close() { s.server.Close() }

func (s *NaiveServer) handle(request *wire.Request, c *wire.Conn) *wire.Response {
	if s.skip != nil && s.skip(request) || s.skipConn != nil && s.skipConn(request, c) {
		return s.forward(request, c, nil)
	}
	grant, status := s.decide(request)
	if status != http.StatusOK && s.misread != nil && s.misread(request) {
		return s.forward(request, c, nil)
	}
	if status != http.StatusOK {
		return &wire.Response{Status: status}
	}
	identity := []string{
		"X-Scope-OrgID: " + grant.Organization, "X-API-Key-ID: " + grant.KeyID, "X-API-Key-Name: " + grant.Namespace + "/" + grant.Name,
	}
	return s.forward(request, c, identity)
}

// decide is the auth server.
func (s *NaiveServer) decide(request *wire.Request) (*registry.Grant, int) {
	find := s.key
	if find == nil {
		find = soundKey
	}
	grant, ok := s.Keys.Find(find(request))
	if !ok {
		return nil, http.StatusUnauthorized
	}
	method, target := request.Method, request.Target
	if s.view != nil {
		method, target = s.view(request)
	}
	permits := s.permits
	if permits == nil {
		permits = soundPermits
	}
	if !permits(&grant, method, target) {
		return nil, http.StatusForbidden
	}
	return &grant, http.StatusOK
}

// soundKey takes the one X-API-Key.
func soundKey(request *wire.Request) string {
	if values := request.Values("X-API-Key"); len(values) == 1 {
		return values[0]
	}
	return ""
}

// soundPermits compares the path as it was sent.
func soundPermits(grant *registry.Grant, method, target string) bool {
	return mayReach(grant, method, cut(target, "?"))
}

// own are the headers that clients may not send, or not further than here.
var own = []string{"x-api-key", "x-scope-orgid", "x-api-key-id", "x-api-key-name"}

// forward sends the request to the upstream, as verbatim as it can, and the answer
// back. After a switch of protocols it copies both ways.
func (s *NaiveServer) forward(request *wire.Request, c *wire.Conn, identity []string) *wire.Response {
	if c.Upstream == nil {
		conn, err := net.Dial("tcp", s.Upstream)
		if err != nil {
			return &wire.Response{Status: http.StatusBadGateway}
		}
		c.Upstream, c.UpstreamReader = conn, bufio.NewReader(conn)
	}
	line, client, payload := request.Line, request.Head, string(request.Payload)
	if request.Proto == "HTTP/2" {
		line, client, payload = downgrade(request)
	}
	if s.keepTheirs {
		identity = slices.DeleteFunc(identity, func(l string) bool { return slices.ContainsFunc(client, named(l)) })
	}
	if identity != nil { // nobody was asked about the others
		removed := own
		if s.keepTheirs {
			removed = own[:1]
		}
		client = slices.DeleteFunc(slices.Clone(client), func(l string) bool { return slices.ContainsFunc(removed, named(l)) })
	}
	head := append(slices.Clone(client), identity...)
	if s.head != nil {
		head = s.head(client, identity)
	}
	text := strings.Join(append(append([]string{line}, head...), "", payload), "\r\n")
	if _, err := io.WriteString(c.Upstream, text); err != nil {
		return nil
	}
	// The upstream may wait for more than comes.
	_ = c.Upstream.SetReadDeadline(time.Now().Add(patience))
	response, err := http.ReadResponse(c.UpstreamReader, &http.Request{Method: request.Method})
	if err != nil {
		return nil
	}
	return s.relay(request, response, c)
}

// named returns a function that reports whether a line has the same name as another,
// or a name.
func named(line string) func(string) bool {
	return func(other string) bool { return strings.EqualFold(cut(line, ":"), cut(other, ":")) }
}

func (s *NaiveServer) relay(request *wire.Request, response *http.Response, c *wire.Conn) *wire.Response {
	if response.StatusCode == http.StatusSwitchingProtocols || request.Method == http.MethodConnect && response.StatusCode == http.StatusOK {
		if request.Proto == "HTTP/2" {
			return nil
		}
		fmt.Fprintf(c, "HTTP/1.1 %d Switching\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", response.StatusCode, response.Header.Get("Upgrade"))
		_ = c.Upstream.SetReadDeadline(time.Time{})
		ended := make(chan struct{})
		go func() {
			_, _ = io.Copy(c, c.UpstreamReader)
			close(ended)
		}()
		_, _ = io.Copy(c.Upstream, c.Reader)
		c.Upstream.Close()
		<-ended
		return nil
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil
	}
	return &wire.Response{Status: response.StatusCode, Fields: []wire.Field{{Name: "Content-Type", Value: response.Header.Get("Content-Type")}}, Body: body}
}

// downgrade writes a request of HTTP/2 as HTTP/1.1, field by field, without a look at
// what is in them.
func downgrade(request *wire.Request) (line string, head []string, payload string) {
	line = request.Method + " " + request.Target + " HTTP/1.1"
	length := false
	for _, f := range request.Fields {
		switch f.Name {
		case ":authority":
			head = append(head, "Host: "+f.Value)
		case ":method", ":path", ":scheme":
		default:
			length = length || f.Name == "content-length" || f.Name == "transfer-encoding"
			head = append(head, f.Name+": "+f.Value)
		}
	}
	if len(request.Trailers) > 0 && !length {
		head = append(head, "Transfer-Encoding: chunked")
		payload = fmt.Sprintf("%x\r\n%s\r\n0\r\n", len(request.Body), request.Body)
		for _, f := range request.Trailers {
			payload += f.Name + ": " + f.Value + "\r\n"
		}
		return line, head, payload + "\r\n"
	}
	if !length {
		head = append(head, fmt.Sprint("Content-Length: ", len(request.Body)))
	}
	return line, head, string(request.Body)
}
