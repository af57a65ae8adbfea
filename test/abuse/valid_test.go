// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package abuse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hexcovery/apikey-operator/hack/load"
)

const (
	// ingest is what valid requests reach, and endless is a response without end.
	ingest, endless = "/v1/metrics", "/api/v1/annotations"
	// perSecond is how often each kind of valid request is sent.
	perSecond = 200
	// answerTimeout is what no answer may take: it is a limit of this test, not a measure.
	answerTimeout = 20 * time.Second
	// machineTimeout is from when on it is the machine that has kept a request from being
	// sent: the server gives a header 5 s.
	machineTimeout = 4 * time.Second
)

// upstream is what the proxy forwards to.
func upstream(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == endless {
			for piece := make([]byte, 32<<10); ; {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// from dials from an address of loopback: valid clients are others than the attacker.
func from(address string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: answerTimeout}
}

const validAddress = "127.0.0.2"

// wrongAnswer is an answer that no load excuses.
type wrongAnswer struct{ status int }

func (w *wrongAnswer) Error() string {
	return fmt.Sprintf("a valid request was answered with %d", w.status)
}

// valid sends requests of each kind.
type valid struct {
	kept, fresh *http.Client
	check       *grpc.ClientConn
	server      *server
}

func newValid(t *testing.T, s *server) *valid {
	t.Helper()
	dialer := from(validAddress)
	connection, err := grpc.NewClient("passthrough:///"+s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		t.Fatal(err)
	}
	v := &valid{
		kept:   &http.Client{Timeout: answerTimeout, Transport: &http.Transport{DialContext: dialer.DialContext}},
		fresh:  &http.Client{Timeout: answerTimeout, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}},
		check:  connection,
		server: s,
	}
	t.Cleanup(func() {
		v.kept.CloseIdleConnections()
		connection.Close()
	})
	return v
}

// do sends one request and fails unless it is let in.
func (v *valid) do(client *http.Client, method, url string, header map[string]string, body string) error {
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("X-API-Key", v.server.key)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("a valid request: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusOK {
		return &wrongAnswer{response.StatusCode}
	}
	return nil
}

// kinds are what is sent: through the proxy on a connection that is kept, and on a new one;
// and questions of gateways.
func (v *valid) kinds() []func() error {
	return []func() error{
		func() error { return v.do(v.kept, http.MethodPost, "http://"+v.server.Proxy+ingest, nil, "a batch") },
		func() error { return v.do(v.fresh, http.MethodPost, "http://"+v.server.Proxy+ingest, nil, "a batch") },
		func() error {
			return v.do(v.kept, http.MethodGet, "http://"+v.server.Gateways+"/auth/original", map[string]string{"X-Original-Method": "POST", "X-Original-URI": ingest}, "")
		},
		func() error {
			ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
			defer cancel()
			answer, err := authv3.NewAuthorizationClient(v.check).Check(ctx, &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
				Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
					Method: http.MethodPost, Path: ingest, Headers: map[string]string{"x-api-key": v.server.key},
				}},
			}})
			if err != nil {
				return fmt.Errorf("a valid question: %w", err)
			}
			if answer.GetOkResponse() == nil {
				return &wrongAnswer{int(answer.GetDeniedResponse().GetStatus().GetCode())}
			}
			return nil
		},
	}
}

// measure sends valid requests for some time, each when it is due, whether or not others
// were answered, and returns the 99th percentile of what they took since then.
func (v *valid) measure(t *testing.T, lasts time.Duration) time.Duration {
	t.Helper()
	kinds := v.kinds()
	latencies, err := load.Load{PerSecond: perSecond * len(kinds), Lasts: lasts, Send: func(n int, due time.Time) error {
		err := kinds[n%len(kinds)]()
		var status *wrongAnswer
		// The server gives up on a header that a busy machine has kept from it.
		if slow := time.Since(due) > machineTimeout; err != nil && !t.Failed() && (!slow || errors.As(err, &status)) {
			t.Error(err)
		}
		return nil
	}}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return latencies.Percentile(99)
}
