// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// The paths of the Hexcovery API.
const (
	annotationsPath = "/api/v1/annotations"
	queryPath       = "/api/v1/dsl"
	rawSQLPath      = "/api/v1/sql"
)

// What is posted, and asked for.
const (
	title = "v2.3.1 to production"
	note  = `{"name": "deploy/myapp", "title": "` + title + `"}`
	query = `{"query": "SELECT name, title FROM annotations LAST 1h"}`
)

// at is the URL of a path at an auth server, by its number from 1.
func (w *walk) at(number int, path string) string {
	return w.product.AuthServers[number-1].Proxy + path
}

func (w *walk) post(ctx context.Context) error {
	err := w.curl(ctx, withKey(http.MethodPost, w.at(1, annotationsPath), w.acme, note),
		want{status: http.StatusCreated, contains: []string{title, `"organization":"acme"`, `"by":"team-acme/prod-agent"`}})
	if err != nil {
		return err
	}
	w.out.good("who it came from is what the auth server said, not the client")
	return nil
}

func (w *walk) findAgain(ctx context.Context) error {
	for _, r := range []request{
		withKey(http.MethodPost, w.at(2, queryPath), w.acme, query),
		withKey(http.MethodGet, w.at(2, annotationsPath), w.acme, ""),
	} {
		if err := w.curl(ctx, r, want{status: http.StatusOK, contains: []string{title}}); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) otherOrganization(ctx context.Context) error {
	return w.curl(ctx, withKey(http.MethodGet, w.at(1, annotationsPath), w.globex, ""),
		want{status: http.StatusOK, contains: []string{"[]"}, lacks: []string{title}})
}

func (w *walk) narrowed(ctx context.Context) error {
	return w.curl(ctx, withKey(http.MethodPost, w.at(2, queryPath), w.globex, query),
		want{status: http.StatusForbidden, contains: []string{"scope_missing"}})
}

func (w *walk) rawSQL(ctx context.Context) error {
	for _, r := range []request{
		withKey(http.MethodPost, w.at(1, rawSQLPath), w.acme, `{"sql": "SELECT * FROM annotations"}`),
		withKey(http.MethodGet, w.at(2, rawSQLPath+"?q=SELECT"), w.acme, ""),
	} {
		if err := w.curl(ctx, r, want{status: http.StatusForbidden, contains: []string{"not_in_surface"}}); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) bearer(ctx context.Context) error {
	r := request{method: http.MethodGet, url: w.at(1, annotationsPath), header: "Authorization", scheme: "Bearer ", key: w.acme}
	if err := w.curl(ctx, r, want{status: http.StatusUnauthorized, contains: []string{"X-API-Key"}}); err != nil {
		return err
	}
	w.out.good("the answer says where the key belongs")
	return nil
}

// unknown sends a key that is well-formed, checksum and all, but was never
// registered and so opens nothing.
func (w *walk) unknown(ctx context.Context) error {
	minted, err := keys.Mint()
	if err != nil {
		return err
	}
	data, err := minted.SecretData(nil, keys.Variables{})
	if err != nil {
		return err
	}
	key := credential{variable: "MADE_UP_KEY", value: string(data[v1alpha1.SecretKeyAPIKey])}
	w.out.conceal(key.value)
	w.out.say("    It is well-formed, checksum and all: only the registry can tell.")
	return w.curl(ctx, withKey(http.MethodGet, w.at(1, annotationsPath), key, ""),
		want{status: http.StatusUnauthorized, contains: []string{"unknown_key"}})
}

func (w *walk) undisturbed(ctx context.Context) error {
	return w.curl(ctx, withKey(http.MethodPost, w.at(1, annotationsPath), w.globex, `{"name": "deploy/shop", "title": "v7"}`),
		want{status: http.StatusCreated, contains: []string{`"organization":"globex-7"`}})
}

func (w *walk) aftermath(context.Context) error {
	requests, violations := w.api.report()
	if len(violations) > 0 {
		return &wrongAnswer{command: "what the Hexcovery API saw", expected: "neither keys nor raw SQL, and always an organization", came: fmt.Sprintf("%q", violations)}
	}
	if requests == 0 {
		return errors.New("no request came to the Hexcovery API: nothing of this was shown")
	}
	w.out.good(fmt.Sprintf("%d requests came through; none with a key in it, none for raw SQL, none without an organization", requests))
	return w.searchLogs()
}
