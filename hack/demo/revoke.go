// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/hexcovery/apikey-operator/hack/stack"
)

// revoke deletes the key while both auth servers are asked each millisecond.
func (w *walk) revoke(ctx context.Context) error {
	var asked []*http.Request
	for i := range w.product.AuthServers {
		built, err := withKey(http.MethodGet, w.at(i+1, annotationsPath), w.acme, "").build(ctx)
		if err != nil {
			return err
		}
		asked = append(asked, built)
	}
	w.out.say("    Meanwhile each auth server gets a request with the key each millisecond.")
	probe := stack.StartProbe(ctx, asked...)
	defer probe.Stop()
	if err := probe.Accepted(); err != nil {
		return fmt.Errorf("before the key is deleted: %w", err)
	}

	began := time.Now()
	if err := w.kubectl(ctx, "kubectl delete apikey prod-agent -n team-acme", "deleted"); err != nil {
		return err
	}
	returned := time.Now()
	for i := range w.product.AuthServers {
		err := w.curl(ctx, withKey(http.MethodGet, w.at(i+1, annotationsPath), w.acme, ""),
			want{status: http.StatusUnauthorized, contains: []string{"unknown_key"}})
		if err != nil {
			return err
		}
	}
	refusals, err := probe.Refused()
	if err != nil {
		return err
	}
	if err := w.tellRefusals(refusals, returned); err != nil {
		return err
	}
	w.out.good(fmt.Sprintf("kubectl delete took %s ms in all, and came back when no auth server accepted the key", milliseconds(returned.Sub(began))))
	return w.kubectlFails(ctx, "kubectl get secret prod-agent -n team-acme", "NotFound")
}

// tellRefusals says how long after the DELETE's answer each auth server refused.
func (w *walk) tellRefusals(refusals []stack.Refusal, returned time.Time) error {
	answered, err := deleteAnswered(filepath.Join(w.product.ControlPlane.LogDir(), "audit.log"), "prod-agent")
	if err != nil {
		return err
	}
	last := refusals[0].At
	for i, refusal := range refusals {
		if refusal.LastAcceptedSent.After(returned) {
			return fmt.Errorf("auth server %d accepted a request that was sent %s after kubectl delete had returned", i+1, refusal.LastAcceptedSent.Sub(returned))
		}
		w.out.say(fmt.Sprintf("    Auth server %d accepted %d requests, and refused %s.", i+1, refusal.Accepted, relative(refusal.At.Sub(answered))))
		if refusal.At.After(last) {
			last = refusal.At
		}
	}
	w.out.good(fmt.Sprintf("refused everywhere %s", relative(last.Sub(answered))))
	return nil
}

// relative is a time from the DELETE's answer.
func relative(d time.Duration) string {
	if d < 0 {
		return milliseconds(-d) + " ms before the API server had answered the DELETE"
	}
	return milliseconds(d) + " ms after the API server had answered the DELETE"
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}

// deleteAnswered returns when the API server had answered the DELETE of the APIKey,
// by its own word: kubectl does not tell.
func deleteAnswered(auditLog, name string) (time.Time, error) {
	file, err := os.Open(auditLog)
	if err != nil {
		return time.Time{}, fmt.Errorf("audit log: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return time.Time{}, fmt.Errorf("audit log: no DELETE of the APIKey %s: %w", name, err)
		}
		var entry struct {
			Verb           string    `json:"verb"`
			Stage          string    `json:"stage"`
			StageTimestamp time.Time `json:"stageTimestamp"`
			ObjectRef      struct {
				Resource string `json:"resource"`
				Name     string `json:"name"`
			} `json:"objectRef"`
		}
		if err := json.Unmarshal(line, &entry); err != nil {
			return time.Time{}, fmt.Errorf("audit log: %w", err)
		}
		if entry.Verb == "delete" && entry.Stage == "ResponseComplete" && entry.ObjectRef.Resource == "apikeys" && entry.ObjectRef.Name == name {
			return entry.StageTimestamp, nil
		}
	}
}

// searchLogs looks for every key in everything that any program has logged.
func (w *walk) searchLogs() error {
	logs, err := filepath.Glob(filepath.Join(w.product.ControlPlane.LogDir(), "*"))
	if err != nil || len(logs) == 0 {
		return errors.Join(err, errors.New("there are no logs to search"))
	}
	size := 0
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err != nil {
			return fmt.Errorf("search logs: %w", err)
		}
		size += len(text)
		for _, key := range []credential{w.acme, w.globex, w.replaced} {
			// The second form is how Secrets hold it in JSON.
			if bytes.Contains(text, []byte(key.value)) || bytes.Contains(text, []byte(base64.StdEncoding.EncodeToString([]byte(key.value)))) {
				return &wrongAnswer{command: "search for $" + key.variable, expected: "it is in no log", came: "it is in " + filepath.Base(log)}
			}
		}
	}
	w.out.good(fmt.Sprintf("%d logs of every program, the API server's audit log among them, %d KB: none holds a key", len(logs), size>>10))
	return nil
}
