// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/hexcovery/apikey-operator/internal/usage"
)

const (
	// askTimeout bounds one question.
	askTimeout  = 5 * time.Second
	idleTimeout = time.Minute
)

var errWrongPin = errors.New("the certificate is not the one that the Lease names")

// asker asks one auth server.
type asker interface {
	ask(ctx context.Context, token string, question *usage.Question) (*usage.Answer, error)
	close()
}

// caller asks one auth server, at one address, with one pin.
type caller struct {
	url  string
	http *http.Client
}

// newCaller refuses a host name: whoever controls DNS could point it anywhere.
func newCaller(address, pin string) (asker, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("usage address: %w", err)
	}
	want, err := hex.DecodeString(pin)
	if err != nil || len(want) != sha256.Size {
		return nil, errors.New("the pin of the usage certificate is not a SHA-256")
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	transport := &http.Transport{
		Proxy:           nil,
		Protocols:       protocols,
		TLSClientConfig: pinned(want),
		// One question at a time.
		MaxConnsPerHost:        1,
		IdleConnTimeout:        idleTimeout,
		TLSHandshakeTimeout:    askTimeout,
		ResponseHeaderTimeout:  askTimeout,
		MaxResponseHeaderBytes: 16 << 10,
		DisableCompression:     true,
	}
	return &caller{url: "https://" + address + usage.Path, http: &http.Client{
		Transport: transport,
		// Whoever answers with a redirect gets no token for it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// pinned trusts one certificate, whoever has signed it. The check is part of the
// handshake: nothing was sent when it fails.
func pinned(want []byte) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection checks for the very certificate instead, also when a session is resumed
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errWrongPin
			}
			sum := sha256.Sum256(state.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(sum[:], want) != 1 {
				return errWrongPin
			}
			return nil
		},
	}
}

// statusError is an answer other than 200.
type statusError struct{ code int }

func (e *statusError) Error() string {
	return fmt.Sprintf("answered %d %s", e.code, http.StatusText(e.code))
}

// refused reports whether the token may be the reason. controller-runtime's filter
// answers 500 to a token that the API server refuses, and 401 to a missing one.
func (e *statusError) refused() bool {
	return e.code == http.StatusUnauthorized || e.code == http.StatusInternalServerError
}

// ask puts one question.
func (c *caller) ask(ctx context.Context, token string, question *usage.Question) (*usage.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	body, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("write question: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, usage.MaxAnswerBytes+1))
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, &statusError{code: response.StatusCode}
	case err != nil:
		return nil, fmt.Errorf("read answer: %w", err)
	case len(data) > usage.MaxAnswerBytes:
		return nil, errors.New("the answer is too long")
	}
	var answer usage.Answer
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if err := check(question, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

const (
	// maxText bounds each string in an answer, in bytes: UIDs, key IDs, contracts, and IP
	// addresses are all shorter.
	maxText = 64
	// maxRequests bounds each count in an answer, so that sums of them do not overflow.
	maxRequests = 1 << 48
)

func outOfBounds(requests int64) bool { return requests < 0 || requests > maxRequests }

// check refuses what no auth server of ours answers. That versions come in their order, and
// after those of the answer before, is what makes a series of answers end.
func check(question *usage.Question, answer *usage.Answer) error {
	switch {
	case answer.Process != question.Process:
		return errors.New("the answer is from another process")
	case len(answer.Versions) > usage.MaxVersions, answer.More && len(answer.Versions) == 0:
		return errors.New("the answer keeps no limit")
	}
	last := question.After
	for i := range answer.Versions {
		version := &answer.Versions[i]
		if last != nil && version.Compare(*last) <= 0 {
			return errors.New("the answer has versions out of order")
		}
		last = &version.ID
		if len(version.UID) > maxText || len(version.KeyID) > maxText || len(version.Sources) > usage.MaxOrigins+1 || outOfBounds(version.Requests) {
			return errors.New("the answer keeps no limit")
		}
		for _, source := range version.Sources {
			if len(source.Endpoint) > maxText || len(source.Gateway) > maxText || outOfBounds(source.Requests) {
				return errors.New("the answer keeps no limit")
			}
		}
	}
	return nil
}

func (c *caller) close() { c.http.CloseIdleConnections() }
