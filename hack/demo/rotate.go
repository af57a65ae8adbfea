// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net/http"
)

// rotate has Globex's key replaced, and then ends the one before it.
func (w *walk) rotate(ctx context.Context) (err error) {
	for _, line := range []string{
		`kubectl patch apikey ci-deploy -n team-globex --type merge -p '{"spec": {"rotation": {"trigger": "2026-11"}}}'`,
		`kubectl wait apikey/ci-deploy -n team-globex --for=jsonpath='{.status.conditions[?(@.type=="Rotated")].reason}'=Retiring --timeout=30s`,
	} {
		if err := w.kubectl(ctx, line); err != nil {
			return err
		}
	}
	w.replaced = w.globex
	w.replaced.variable = "OLD_GLOBEX_API_KEY"
	if w.globex, err = w.readKey(ctx, "GLOBEX_API_KEY", "team-globex", "hexcovery-ci-deploy"); err != nil {
		return err
	}
	if w.globex.value == w.replaced.value {
		return errors.New("the Secret holds the same key as before")
	}
	both := []credential{w.replaced, w.globex}
	for i, key := range both {
		if err := w.curl(ctx, withKey(http.MethodGet, w.at(i%len(w.product.AuthServers)+1, annotationsPath), key, ""), want{status: http.StatusOK}); err != nil {
			return err
		}
	}
	w.out.good("the old key goes on working, until the new one is used and the old one is not")

	for _, line := range []string{
		`kubectl patch apikey ci-deploy -n team-globex --type merge -p '{"spec": {"rotation": {"retire": "now"}}}'`,
		"kubectl wait apikey/ci-deploy -n team-globex --for=condition=Rotated --timeout=30s",
	} {
		if err := w.kubectl(ctx, line); err != nil {
			return err
		}
	}
	for i := range w.product.AuthServers {
		err := w.curl(ctx, withKey(http.MethodGet, w.at(i+1, annotationsPath), w.replaced, ""),
			want{status: http.StatusUnauthorized, contains: []string{"unknown_key"}})
		if err != nil {
			return err
		}
	}
	w.out.good("or, as here, until somebody ends it")
	return nil
}
