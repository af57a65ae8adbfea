// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/stack"
)

// The request that auth servers are asked about: an OQL query.
const (
	askedMethod = http.MethodPost
	askedTarget = "/api/v1/dsl"
)

// sample is what one key's life took.
type sample struct {
	name string
	// ready is from the create call to Ready=True.
	ready time.Duration
	// refused is from the DELETE's answer until every replica refused.
	refused time.Duration
	// done is from the delete call until the APIKey was gone.
	done time.Duration
}

// live has one key live and die.
func (b *bench) live(ctx context.Context, name string) (sample, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, keyTimeout, fmt.Errorf("it took more than %s", keyTimeout))
	defer cancel()
	key := &v1alpha1.APIKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.APIKeySpec{OrganizationRef: v1alpha1.OrganizationReference{Name: organization}},
	}
	applied := time.Now()
	if err := b.client.Create(ctx, key); err != nil {
		return sample{}, fmt.Errorf("create: %w", err)
	}
	ready, err := b.watcher.await(ctx, name, becameReady)
	if err != nil {
		return sample{}, fmt.Errorf("wait until it is ready: %w", err)
	}
	s := sample{name: name, ready: ready.Sub(applied)}
	questions, err := b.questions(ctx, name)
	if err != nil {
		return sample{}, err
	}
	err = b.die(ctx, key, questions, &s)
	return s, err
}

// questions are what a gateway would ask each replica about a request with the key
// that the Secret holds.
func (b *bench) questions(ctx context.Context, name string) ([]*http.Request, error) {
	secret := &corev1.Secret{}
	if err := b.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	var questions []*http.Request
	for _, server := range b.product.AuthServers {
		question, err := server.Question(ctx, askedMethod, askedTarget, string(secret.Data[v1alpha1.SecretKeyAPIKey]))
		if err != nil {
			return nil, err
		}
		questions = append(questions, question)
	}
	return questions, nil
}

// die deletes the key while every replica is asked about it each millisecond.
func (b *bench) die(ctx context.Context, key *v1alpha1.APIKey, questions []*http.Request, s *sample) error {
	probe := stack.StartProbe(ctx, questions...)
	defer probe.Stop()
	if err := probe.Accepted(); err != nil {
		return err
	}
	var answered time.Time
	trace := &httptrace.ClientTrace{GotFirstResponseByte: func() { answered = time.Now() }}
	deleted := time.Now()
	if err := b.client.Delete(httptrace.WithClientTrace(ctx, trace), key); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if answered.IsZero() {
		return errors.New("delete: the time of its answer is not known")
	}
	gone, err := b.watcher.await(ctx, key.Name, isGone)
	if err != nil {
		return fmt.Errorf("wait until it is gone: %w", err)
	}
	s.done = gone.Sub(deleted)
	refusals, err := probe.Refused()
	if err != nil {
		return err
	}
	for _, refusal := range refusals {
		s.refused = max(s.refused, refusal.At.Sub(answered))
		// Whoever sees the APIKey gone knows that the key is dead. The watch tells a
		// moment later than it is so, so this cannot be wrong by measurement.
		if refusal.LastAcceptedSent.After(gone) {
			return fmt.Errorf("a replica accepted a request that was sent %s after the APIKey was gone", refusal.LastAcceptedSent.Sub(gone))
		}
	}
	return nil
}
