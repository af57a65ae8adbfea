// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package attack

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hexcovery/apikey-operator/internal/registry"
	"github.com/hexcovery/apikey-operator/test/gateways/attack/wire"
)

// Naive is a gateway and an auth server as people write them. It has good keys only
// pass, in the name of their organization, to where they may go; but it has a
// weakness. Each function that is nil does nothing unusual.
type Naive struct {
	// framing finds the end of bodies.
	framing wire.Framing
	// skip lets requests through that are not asked about.
	skip func(*wire.Request, *wire.Conn) bool
	// misread takes a refusal for a yes.
	misread func(*wire.Request) bool
	// view makes of the request what is asked about, in place.
	view func(*wire.Request)
	// key finds the key.
	key func(*wire.Request) string
	// permits decides where a key may go.
	permits func(grant *registry.Grant, method, target string) bool
	// rewrite makes of the request what is forwarded, in place.
	rewrite func(*wire.Request)
	// head makes the header that is forwarded, out of the client's Head and the identity.
	// Lines without their end.
	head func(client *wire.Request, identity []string) []string
}

// Start starts the gateway in front of upstream, until the test ends.
func (n *Naive) Start(t testing.TB, keys *Keyring, upstream string) *wire.Server {
	t.Helper()
	return wire.Serve(t, n.framing, func(request *wire.Request, c *wire.Conn) *http.Response {
		var grant *registry.Grant
		if n.skip == nil || !n.skip(request, c) {
			grant = n.decide(*request, keys)
			if grant == nil && (n.misread == nil || !n.misread(request)) {
				return wire.Reply(http.StatusForbidden, nil, "")
			}
		}
		if n.rewrite != nil {
			n.rewrite(request)
		}
		if request.Proto == "HTTP/2" {
			downgrade(request)
		}
		if grant != nil { // otherwise nobody has said who it is
			head := soundHead
			if n.head != nil {
				head = n.head
			}
			request.Head = head(request, identity(grant))
		}
		return forward(request, c, upstream)
	})
}

// decide is the auth server. It returns what the key is worth, or nil for a refusal.
func (n *Naive) decide(request wire.Request, keys *Keyring) *registry.Grant {
	key, permits := soundKey, exact.permitTarget
	if n.key != nil {
		key = n.key
	}
	if n.permits != nil {
		permits = n.permits
	}
	grant := keys.Find(key(&request))
	if n.view != nil {
		n.view(&request)
	}
	if grant != nil && permits(grant, request.Method, request.Target) {
		return grant
	}
	return nil
}

// soundKey takes the one X-API-Key.
func soundKey(request *wire.Request) string {
	if values := request.Values("X-API-Key"); len(values) == 1 {
		return values[0]
	}
	return ""
}

// soundHead lets clients say nothing that is for the gateway, or from it.
func soundHead(client *wire.Request, identity []string) []string {
	return append(without(client.Head, append(identity, "X-API-Key")), identity...)
}

// without are the lines that have not the name of any of these lines, or names.
func without(lines, names []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(cut(line, ":"), strings.TrimSpace(cut(name, ":"))) })
	})
}

func cut(s, separator string) string {
	before, _, _ := strings.Cut(s, separator)
	return before
}

// forward sends the request to the upstream, as verbatim as it can, and returns the
// answer. After a switch of protocols it copies both ways.
func forward(request *wire.Request, c *wire.Conn, upstream string) *http.Response {
	if c.Upstream == nil {
		conn, err := net.Dial("tcp", upstream)
		if err != nil {
			return wire.Reply(http.StatusBadGateway, nil, "")
		}
		c.Upstream = wire.NewConn(conn)
	}
	text := strings.Join(slices.Concat([]string{request.Line}, request.Head, []string{"", string(request.Payload)}), "\r\n")
	if _, err := io.WriteString(c.Upstream, text); err != nil {
		return nil
	}
	// The upstream may wait for more than comes.
	_ = c.Upstream.SetReadDeadline(time.Now().Add(patience))
	response, err := http.ReadResponse(c.Upstream.Reader, &http.Request{Method: request.Method})
	if err != nil {
		return nil
	}
	switched := response.StatusCode == http.StatusSwitchingProtocols || request.Method == http.MethodConnect && response.StatusCode == http.StatusOK
	if !switched {
		return response
	}
	if request.Proto != "HTTP/2" {
		fmt.Fprintf(c, "HTTP/1.1 %d Switching\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", response.StatusCode, response.Header.Get("Upgrade"))
		tunnel(c)
	}
	return nil
}

func tunnel(c *wire.Conn) {
	_ = c.Upstream.SetReadDeadline(time.Time{})
	var answers sync.WaitGroup
	answers.Go(func() { _, _ = io.Copy(c, c.Upstream.Reader) })
	_, _ = io.Copy(c.Upstream, c.Reader)
	c.Upstream.Close()
	answers.Wait()
}

// downgrade writes a request of HTTP/2 as HTTP/1.1, field by field, without a look at
// what is in them.
func downgrade(request *wire.Request) {
	request.Line = request.Method + " " + request.Target + " HTTP/1.1"
	framed := false
	for _, f := range request.Fields {
		switch f.Name {
		case ":authority":
			request.Head = append(request.Head, "Host: "+f.Value)
		case ":method", ":path", ":scheme":
		default:
			framed = framed || f.Name == "content-length" || f.Name == "transfer-encoding"
			request.Head = append(request.Head, f.Name+": "+f.Value)
		}
	}
	request.Payload = request.Body
	switch {
	case framed:
	case len(request.Trailers) == 0:
		request.Head = append(request.Head, fmt.Sprint("Content-Length: ", len(request.Body)))
	default:
		request.Head = append(request.Head, "Transfer-Encoding: chunked")
		request.Payload = fmt.Appendf(nil, "%x\r\n%s\r\n0\r\n", len(request.Body), request.Body)
		for _, f := range request.Trailers {
			request.Payload = fmt.Appendf(request.Payload, "%s: %s\r\n", f.Name, f.Value)
		}
		request.Payload = append(request.Payload, "\r\n"...)
	}
}
