// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/test/faults/oracle"
)

const (
	// stock is how many keys are valid when a round begins.
	stock = 5
	// healing is how long after the last fault everything that was asked for may
	// take, and settling how long until every auth server decides, and a new key is
	// ready: a manager that began to lead a moment ago counts one that died before by
	// its own watching.
	healing  = 30 * time.Second
	settling = countedOut + 5*time.Second
	// calmFor is how long, before each round, nothing is wrong.
	calmFor = 150 * time.Millisecond
)

// course is how a round went.
type course struct {
	// faults, deeds and settled are when the last fault was over, when everything
	// that was asked for had come true, and when every auth server decided.
	faults, deeds, settled time.Duration
}

// play has a round happen, and ends when all is well again. An error is a violation,
// too.
func (w *world) play(ctx context.Context, r round) (course, error) {
	if err := w.prepare(ctx); err != nil {
		return course{}, fmt.Errorf("prepare round %d: %w", r.number, err)
	}
	w.ledger.Fault()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	began := time.Now()
	var faults sync.WaitGroup
	var c course
	for _, f := range r.faults {
		faults.Go(func() {
			if err := wait(ctx, f.at); err != nil {
				return
			}
			if err := w.perform(ctx, f); err != nil {
				w.ledger.Violate("round %d, %s: %v", r.number, f, err)
			}
		})
	}
	for _, a := range r.actions {
		w.deeds.Go(func() {
			if err := wait(ctx, a.at); err != nil {
				return
			}
			if err := w.do(ctx, a); err != nil {
				w.ledger.Violate("round %d: for ever: %v", r.number, err)
			}
		})
	}
	faults.Wait()
	c.faults = time.Since(began)
	patience := time.AfterFunc(healing, func() { cancel(fmt.Errorf("%s have passed since the last fault", healing)) })
	w.deeds.Wait()
	patience.Stop()
	c.deeds = time.Since(began)
	if err := w.settle(ctx); err != nil {
		return c, fmt.Errorf("round %d: %w", r.number, err)
	}
	c.settled = time.Since(began)
	w.ledger.Calm()
	return c, wait(ctx, calmFor)
}

// prepare sees to it that there are keys.
func (w *world) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healing)
	defer cancel()
	errs := make(chan error, stock)
	valid := len(w.ring.valid())
	for range max(0, stock-valid) {
		go func() {
			_, err := w.mint(ctx)
			errs <- err
		}()
	}
	var failed error
	for range max(0, stock-valid) {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return failed
}

// do is what one user does.
func (w *world) do(ctx context.Context, a action) error {
	if a.deed == mints {
		_, err := w.mint(ctx)
		return err
	}
	s := w.choose(a.choice)
	if s == nil {
		return nil
	}
	defer s.busy.Store(false)
	switch a.deed {
	case suspends:
		return w.suspend(ctx, s, a.lasts)
	case rotates:
		return w.rotate(ctx, s, a.lasts)
	default:
		return w.remove(ctx, s)
	}
}

// settle waits until every auth server accepts what is valid, and refuses what is
// dead. The ledger says how it must not answer; this is that it answers at all.
func (w *world) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settling, fmt.Errorf("not within %s", settling))
	defer cancel()
	if err := w.stir(ctx); err != nil {
		return err
	}
	defer w.keepStirring(ctx)()
	asking, ctx := errgroup.WithContext(ctx)
	for _, server := range w.stack.AuthServers {
		for _, s := range *w.ring.asked.Load() {
			asking.Go(func() error { return w.settled(ctx, server, s) })
		}
	}
	return asking.Wait()
}

// keepStirring stirs each second until the function that it returns was called: an auth
// server that heard late of a renewal, on a machine that is busy, is in doubt again.
func (w *world) keepStirring(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var stirring sync.WaitGroup
	stirring.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				// One that fails, as when ctx ends, is one that the round does without.
				_ = w.stir(ctx)
			}
		}
	})
	return func() {
		cancel()
		stirring.Wait()
	}
}

// stir changes something of each kind. After a silence an auth server calls no key
// unknown until its watches have brought it as far as the API server is, or it has made
// sure in another way, which takes some seconds.
func (w *world) stir(ctx context.Context) error {
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"stirred":"%d"}}}`, time.Now().UnixNano()))
	for _, touched := range []client.Object{
		&v1alpha1.Organization{ObjectMeta: metav1.ObjectMeta{Name: organization}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
	} {
		if err := try(ctx, func(ctx context.Context) error { return w.admin.Patch(ctx, touched, patch) }); err != nil {
			return fmt.Errorf("change %T: %w", touched, err)
		}
	}
	_, err := w.mint(ctx)
	return err
}

func (w *world) settled(ctx context.Context, server *stack.AuthServer, s *subject) error {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for last := oracle.NoAnswer; ; {
		state, _ := s.Now()
		status := w.askOnce(ctx, server, s)
		if ctx.Err() == nil {
			last = status
		}
		if state == oracle.Uncertain || state == oracle.Valid && status == http.StatusOK || state == oracle.Dead && status == http.StatusUnauthorized {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s still answers %d about %s: %w", server.Name, last, s.Name, context.Cause(ctx))
		}
	}
}
