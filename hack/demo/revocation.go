// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

// startProbe begins to send the key to each auth server each millisecond, and returns
// when each has accepted it. It ends with ctx.
func (w *walk) startProbe(ctx context.Context, key string) error {
	var requests []*http.Request
	for _, server := range w.product.AuthServers {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.Proxy+"/api/v1/annotations", nil)
		if err != nil {
			return err
		}
		request.Header.Set("X-API-Key", key)
		requests = append(requests, request)
	}
	w.probe = stack.StartProbe(ctx, requests...)
	return w.probe.Accepted()
}

// awaitRefusals tells how long after the API server's answer to the DELETE, which was
// the last command's, each auth server refused.
func (w *walk) awaitRefusals() error {
	refusals, err := w.probe.Refused()
	if err != nil {
		return err
	}
	// When that answer came the API server alone knows: kubectl does not tell.
	events, err := w.product.ControlPlane.AuditEvents()
	deletion := slices.IndexFunc(events, func(event auditv1.Event) bool {
		return event.Verb == "delete" && event.ObjectRef.Resource == "apikeys"
	})
	if err != nil || deletion < 0 {
		return errors.Join(err, errors.New("no DELETE of an APIKey is in the audit log"))
	}
	var delays []time.Duration
	for i, refusal := range refusals {
		if late := refusal.LastAcceptedSent.Sub(w.ended); late > 0 {
			return fmt.Errorf("auth server %d accepted a request that was sent %s after kubectl delete had returned", i+1, late)
		}
		delays = append(delays, refusal.At.Sub(events[deletion].StageTimestamp.Time))
		w.say(fmt.Sprintf("    Auth server %d accepted %d requests, and refused %s.", i+1, refusal.Accepted, relative(delays[i])))
	}
	w.say("    ok: refused everywhere " + relative(slices.Max(delays)))
	w.say(fmt.Sprintf("    ok: kubectl delete took %s in all, and came back when no auth server accepted the key", w.ended.Sub(w.began).Round(time.Millisecond)))
	return nil
}

// relative is a time from the DELETE's answer.
func relative(d time.Duration) string {
	order := "after"
	if d < 0 {
		order = "before"
	}
	return fmt.Sprintf("%s %s the API server had answered the DELETE", d.Abs().Round(100*time.Microsecond), order)
}
