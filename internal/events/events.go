// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package events writes the events of objects: in the bounds of the API, and harmless to
// look at, for they quote what others have written.
package events

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/plain"
	"github.com/hexcovery/apikey-operator/internal/refusal"
)

// maxNote is the most that the API server takes of an event's note, in bytes
// (k8s.io/kubernetes/pkg/apis/core/validation, NoteLengthLimit).
const maxNote = 1024

// Writer writes events. Their reasons are those of conditions, or stand beside them in
// api/v1alpha1.
type Writer struct{ Recorder events.EventRecorder }

// Normal writes an event of what is as it should be.
func (w Writer) Normal(object client.Object, reason, action, format string, values ...any) {
	w.write(object, corev1.EventTypeNormal, reason, action, fmt.Sprintf(format, values...))
}

// Warning writes an event of what somebody should look at.
func (w Writer) Warning(object client.Object, reason, action, format string, values ...any) {
	w.write(object, corev1.EventTypeWarning, reason, action, fmt.Sprintf(format, values...))
}

// NotWritten writes that the API server refuses to store what the manager writes of object.
func (w Writer) NotWritten(object client.Object, err error) {
	by, _ := refusal.Of(err)
	w.Warning(object, v1alpha1.EventNotWritten, "Write",
		"The API server refuses to store what the manager writes of this object (%s). Make it smaller. Look at admission policies.", by)
}

func (w Writer) write(object client.Object, eventType, reason, action, note string) {
	if note = plain.Text(note); len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote-len("…")], "") + "…"
	}
	w.Recorder.Eventf(object, nil, eventType, reason, action, "%s", note)
}
