// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// stepTimeout bounds one step. The longest takes some seconds.
const stepTimeout = time.Minute

// walk goes through the life of a key, step by step.
type walk struct {
	product *stack.Stack
	api     *standIn
	out     *printer

	// acme is the key prod-agent, for ingest, annotations and queries; globex is the
	// key ci-deploy, for annotations only. Filled in by readKeys.
	acme, globex credential
	// replaced is the key that Globex had before. Filled in by rotate.
	replaced credential
}

// step is one thing that is shown.
type step struct {
	title string
	show  func(*walk, context.Context) error
}

var steps = []step{
	{"Two organizations, and a key for each", (*walk).applySamples},
	{"Each key is in its Secret, and nowhere else", (*walk).readKeys},
	{"Acme's key posts an annotation, through auth server 1", (*walk).post},
	{"And finds it again, through auth server 2", (*walk).findAgain},
	{"Globex, with its own key, sees nothing of it", (*walk).otherOrganization},
	{"A key reaches what it is for: that of Globex may not query", (*walk).narrowed},
	{"No key reaches raw SQL", (*walk).rawSQL},
	{"A key is no session: as a Bearer token it is refused", (*walk).bearer},
	{"A key that nobody has issued is refused", (*walk).unknown},
	{"Globex's key is replaced, and nobody is cut off", (*walk).rotate},
	{"Acme's key is deleted, and dead at once, everywhere", (*walk).revoke},
	{"The key beside it is not disturbed", (*walk).undisturbed},
	{"What the Hexcovery API has seen, and what logs hold", (*walk).aftermath},
}

func (w *walk) walk(ctx context.Context) error {
	for _, step := range steps {
		w.out.title(step.title)
		err := w.show(ctx, step)
		if w.out.hasLeaked() {
			err = errors.Join(err, errors.New("a key was about to be printed"))
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", w.out.step, err)
		}
	}
	return nil
}

// show makes one step, in a bounded time.
func (w *walk) show(ctx context.Context, s step) error {
	ctx, cancel := context.WithTimeoutCause(ctx, stepTimeout, fmt.Errorf("it took more than %s", stepTimeout))
	defer cancel()
	err := s.show(w, ctx)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return err
}

// explain prints, after a wrong answer, what keys wait for and the last lines of
// each program's log.
func (w *walk) explain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	w.out.blank()
	// What it returns is of no interest beside the wrong answer; it prints that, too.
	_ = w.kubectl(ctx, `kubectl get apikeys -A -o custom-columns='NAME:.metadata.name,READY:.status.conditions[?(@.type=="Ready")].message'`)
	for _, process := range w.product.Processes() {
		w.out.blank()
		w.out.say(process.LogTail())
	}
}

func (w *walk) applySamples(ctx context.Context) error {
	for _, line := range []string{
		"kubectl apply --server-side -k config/samples",
		"kubectl wait --for=condition=Ready apikeys --all --all-namespaces --timeout=30s",
		"kubectl get apikeys --all-namespaces",
	} {
		if err := w.kubectl(ctx, line, "prod-agent", "ci-deploy"); err != nil {
			return err
		}
	}
	w.out.good("both are ready, which they are when every auth server knows them")
	return nil
}

func (w *walk) readKeys(ctx context.Context) (err error) {
	if w.acme, err = w.readKey(ctx, "HEXCOVERY_API_KEY", "team-acme", "prod-agent"); err != nil {
		return err
	}
	if w.globex, err = w.readKey(ctx, "GLOBEX_API_KEY", "team-globex", "hexcovery-ci-deploy"); err != nil {
		return err
	}
	digest, err := keys.Parse(w.acme.value)
	if err != nil {
		return fmt.Errorf("what the Secret holds: %w", err)
	}
	line := "kubectl get apikey prod-agent -n team-acme -o jsonpath='{.status.keyID}'"
	if err := w.kubectl(ctx, line, digest.KeyID()); err != nil {
		return err
	}
	w.out.good("the key ID is the beginning of the key's SHA-256, which is all that anything but the Secret holds of it")
	return nil
}
