// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// TestUnwritten: what cannot be written is told after a minute, once, with nothing of what
// was written, and until it can be.
func TestUnwritten(t *testing.T) {
	clock := testingclock.NewFakeClock(noon)
	recorder := events.NewFakeRecorder(10)
	u := newUnwritten(clock)
	key := testKey(func(k *v1alpha1.APIKey) { k.UID = "u-1" })
	// What etcd says reaches a client as an internal error.
	tooLarge := fmt.Errorf("write status: %w", apierrors.NewInternalError(errors.New("etcdserver: request is too large: SECRET")))
	fail := func(after time.Duration, err error) (told string) {
		t.Helper()
		clock.Step(after)
		u.failed(t.Context(), eventWriter{recorder: recorder}, key, err)
		select {
		case told = <-recorder.Events:
		default:
		}
		return told
	}
	count := u.count

	if told := fail(0, tooLarge); told != "" || count() != 0 {
		t.Errorf("told at once: %q, %d", told, count())
	}
	if told := fail(59*time.Second, tooLarge); told != "" || count() != 0 {
		t.Errorf("told after 59s: %q, %d", told, count())
	}
	told := fail(time.Second, tooLarge)
	if !strings.Contains(told, "NotWritten") || !strings.Contains(told, "(InternalError, code 500)") || strings.Contains(told, "SECRET") || count() != 1 {
		t.Errorf("after a minute: %q, %d", told, count())
	}
	if told := fail(time.Hour, tooLarge); told != "" || count() != 1 {
		t.Errorf("told twice: %q, %d", told, count())
	}
	u.forget(key)
	if count() != 0 || fail(0, tooLarge) != "" || fail(time.Minute, tooLarge) == "" {
		t.Error("does not begin anew")
	}
	u.forget(key)

	resource := schema.GroupResource{Resource: "apikeys"}
	for name, err := range map[string]error{
		"a newer object":  apierrors.NewConflict(resource, "a", nil),
		"no object":       apierrors.NewNotFound(resource, "a"),
		"no answer":       errors.New("connection refused"),
		"a busy server":   apierrors.NewTooManyRequests("later", 1),
		"an outage":       apierrors.NewServiceUnavailable("later"),
		"a late response": apierrors.NewTimeoutError("late", 1),
	} {
		if fail(0, err) != "" || fail(time.Hour, err) != "" || count() != 0 {
			t.Errorf("%s is taken for a refusal", name)
		}
	}
}

// TestUnwrittenIsBounded: an API server that refuses everything costs no memory.
func TestUnwrittenIsBounded(t *testing.T) {
	u := newUnwritten(testingclock.NewFakeClock(noon))
	for i := range unwrittenLimit + 10 {
		u.note(testKey(func(k *v1alpha1.APIKey) { k.UID = types.UID(fmt.Sprint(i)) }), apierrors.NewBadRequest("no"))
	}
	if len(u.since) != unwrittenLimit {
		t.Errorf("remembers %d", len(u.since))
	}
}
