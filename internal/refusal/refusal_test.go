// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package refusal

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
)

// answer is an error as client-go makes it of what the API server has answered.
func answer(code int32, reason metav1.StatusReason, message string) error {
	return fmt.Errorf("write: %w", &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message}})
}

func TestWhatIsARefusal(t *testing.T) {
	secrets := schema.GroupResource{Resource: "secrets"}
	for name, row := range map[string]struct {
		err error
		by  string // "" for none
	}{
		"a webhook":                     {answer(403, metav1.StatusReasonForbidden, `admission webhook "x.example.com" denied the request: hxk_secret`), "admission webhook x.example.com, code 403"},
		"a webhook that gives no code":  {answer(400, "", `admission webhook "x.example.com" denied the request without explanation`), "admission webhook x.example.com, code 400"},
		"a webhook that gives code 418": {answer(418, "", `admission webhook "x.example.com" denied the request: no`), "admission webhook x.example.com, code 418"},
		"a webhook that cannot be reached": {answer(500, metav1.StatusReasonInternalError,
			`Internal error occurred: failed calling webhook "x.example.com": failed to call webhook: Post "https://127.0.0.1:1/": refused`), "admission webhook x.example.com, code 500"},
		"a policy": {answer(422, metav1.StatusReasonInvalid,
			`secrets "agent" is forbidden: ValidatingAdmissionPolicy 'no-secrets' with binding 'b' denied request: text`), "ValidatingAdmissionPolicy no-secrets, code 422"},
		"a quota":                       {apierrors.NewForbidden(secrets, "agent", errors.New("exceeded quota")), "code 403"},
		"an object that is too large":   {answer(413, metav1.StatusReasonRequestEntityTooLarge, "too large"), "code 413"},
		"a message that names another":  {answer(403, metav1.StatusReasonForbidden, `no: admission webhook "forged" denied the request`), "code 403"},
		"a name that is none":           {answer(403, metav1.StatusReasonForbidden, `admission webhook "SECRET value" denied the request`), "code 403"},
		"a conflict":                    {apierrors.NewConflict(secrets, "agent", errors.New("changed")), ""},
		"an absence":                    {apierrors.NewNotFound(secrets, "agent"), ""},
		"a presence":                    {apierrors.NewAlreadyExists(secrets, "agent"), ""},
		"a crowd":                       {apierrors.NewTooManyRequests("later", 1), ""},
		"etcd that does not answer":     {answer(500, metav1.StatusReasonInternalError, "etcdserver: request timed out"), ""},
		"an API server that is leaving": {answer(503, metav1.StatusReasonServiceUnavailable, "shutting down"), ""},
		"no answer":                     {errors.New("connection refused"), ""},
		"no error":                      {nil, ""},
	} {
		by, refused := Of(row.err)
		if by != row.by || refused != (row.by != "") {
			t.Errorf("%s: %q, %t, want %q", name, by, refused, row.by)
		}
	}
}

func TestQuietQuotesNothing(t *testing.T) {
	err := Quiet(answer(http.StatusForbidden, metav1.StatusReasonForbidden, "hxk_secret"))
	if text := fmt.Sprint(err); strings.Contains(text, "secret") || !apierrors.IsForbidden(err) {
		t.Errorf("%s, forbidden %t", text, apierrors.IsForbidden(err))
	}
	if Quiet(nil) != nil {
		t.Error("no error has become one")
	}
}

func TestTracker(t *testing.T) {
	clock := testclock.NewFakePassiveClock(time.Unix(0, 0))
	tracker := NewTracker(clock)
	refused := answer(422, metav1.StatusReasonInvalid, "no")
	if tracker.Failed("a", errors.New("outage")) || tracker.Failed("a", refused) {
		t.Error("told at once")
	}
	clock.SetTime(clock.Now().Add(Patience))
	if !tracker.Failed("a", refused) || tracker.Failed("a", refused) {
		t.Error("not told once")
	}
	if tracker.count() != 0 {
		t.Error("counted at once")
	}
	if clock.SetTime(clock.Now().Add(unwrittenFor)); tracker.count() != 1 {
		t.Error("not counted after a minute")
	}
	if tracker.Forget("a"); tracker.count() != 0 {
		t.Error("counted although it was written")
	}
	for i := range 2 * trackerLimit {
		tracker.Failed(types.UID(fmt.Sprint(i)), refused)
	}
	if len(tracker.since) != trackerLimit {
		t.Errorf("%d objects are remembered", len(tracker.since))
	}
}
