// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package refusal says how the API server has refused a write, without quoting what was
// written: its message may have a Secret in it, in any encoding, for an admission webhook may
// answer what it likes.
package refusal

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// refusers find the name of what has refused a write at the beginning of a message, which is
// the API server's own (k8s.io/apiserver, pkg/admission/plugin).
var refusers = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"admission webhook", regexp.MustCompile(`^admission webhook "([a-z0-9.-]{1,253})" denied`)},
	{"admission webhook", regexp.MustCompile(`^Internal error occurred: failed calling webhook "([a-z0-9.-]{1,253})"`)},
	{"ValidatingAdmissionPolicy", regexp.MustCompile(`^[a-z.]+ "[a-z0-9.-]*" is forbidden: ValidatingAdmissionPolicy '([a-z0-9.-]{1,253})'`)},
}

// Of says by what, and with which code, the API server has refused a write; false for an
// error that is none of that: a conflict, an absence, an outage, which passes.
func Of(err error) (by string, refused bool) {
	code := Code(err)
	name := nameIn(err)
	switch {
	case apierrors.IsConflict(err), apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err),
		code == http.StatusUnauthorized, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return "", false
	case code >= http.StatusBadRequest && code < http.StatusInternalServerError:
	case code == http.StatusInternalServerError && name != "":
	default:
		return "", false
	}
	if name != "" {
		name += ", "
	}
	return fmt.Sprintf("%scode %d", name, code), true
}

func nameIn(err error) string {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) {
		return ""
	}
	for _, refuser := range refusers {
		if found := refuser.pattern.FindStringSubmatch(status.Status().Message); found != nil {
			return refuser.what + " " + found[1]
		}
	}
	return ""
}

// Code is that of the API server's answer; 0 if it did not answer.
func Code(err error) int32 {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}

// Quiet is err without what the API server said, which may quote a Secret. What kind of
// error it is stays known.
func Quiet(err error) error {
	if err == nil {
		return nil
	}
	return &quiet{err}
}

type quiet struct{ cause error }

func (e *quiet) Error() string {
	return fmt.Sprintf("reason %q, code %d", apierrors.ReasonForError(e.cause), Code(e.cause))
}

// Unwrap lets apierrors distinguish a conflict from an outage; it is never printed.
func (e *quiet) Unwrap() error { return e.cause }
