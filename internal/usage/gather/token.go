// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package gather

import (
	"context"
	"fmt"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// ReaderAccount is the ServiceAccount that gathers usage. It has no other right: an
	// auth server sees its token, and could use it.
	ReaderAccount = "apikey-usage-reader"
	// tokenLifetime is the shortest that API servers grant.
	tokenLifetime = 10 * time.Minute
	// tokenRenewal is how long before its end a token is replaced.
	tokenRenewal = 2 * time.Minute
)

// Tokens gives out tokens of the ServiceAccount ReaderAccount. It is safe for
// concurrent use.
type Tokens struct {
	// Client asks for tokens.
	Client client.Client
	// Namespace of the operator.
	Namespace string
	Clock     clock.PassiveClock

	mu      sync.Mutex
	token   string
	expires time.Time
}

// Token returns a token that is valid for a while.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.Clock.Now()
	if t.token != "" && now.Before(t.expires.Add(-tokenRenewal)) {
		return t.token, nil
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: ReaderAccount}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: ptr.To(int64(tokenLifetime / time.Second)),
	}}
	if err := t.Client.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("token of ServiceAccount %s: %w", ReaderAccount, err)
	}
	// By how long it lives, not by the API server's clock.
	t.token, t.expires = request.Status.Token, now.Add(tokenLifetime)
	return t.token, nil
}

// Drop discards a token: the next one is new.
func (t *Tokens) Drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}
