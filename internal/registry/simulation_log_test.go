// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// simLog is what happened in one schedule. It is written out only where it is
// wanted: to keep a line costs little.
type simLog struct {
	began time.Time

	mu    sync.Mutex
	lines []simLine
}

type simLine struct {
	at     time.Duration
	actor  string
	format string
	args   []any
}

func (l *simLog) add(actor, format string, args ...any) {
	at := time.Since(l.began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, simLine{at, actor, format, args})
}

func (l *simLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var text strings.Builder
	for i, line := range l.lines {
		if l.dull(i) {
			continue
		}
		fmt.Fprintf(&text, "%12.6f  %-10s %s\n", line.at.Seconds(), line.actor, fmt.Sprintf(line.format, line.args...))
	}
	return text.String()
}

// dull reports whether a line is a renewal that says what the ones before and after
// it say.
func (l *simLog) dull(i int) bool {
	text, ok := l.lines[i].renewal()
	if !ok {
		return false
	}
	same := func(lines iter.Seq2[int, simLine]) bool {
		for _, line := range lines {
			if line.actor == l.lines[i].actor {
				other, ok := line.renewal()
				return ok && other == text
			}
		}
		return false
	}
	return same(slices.Backward(l.lines[:i])) && same(slices.All(l.lines[i+1:]))
}

// renewal returns what a renewal that was made says.
func (l simLine) renewal() (text string, ok bool) {
	if len(l.args) != 3 || l.args[0] != "update" {
		return "", false
	}
	described, _ := l.args[1].(simDescription)
	lease, isLease := described.obj.(*coordinationv1.Lease)
	outcome, _ := l.args[2].(simOutcome)
	if !isLease || outcome.err != nil {
		return "", false
	}
	return *lease.Spec.HolderIdentity + lease.Annotations[annotationAppliedAPIKeys], true
}

// simDescription describes an object when it is asked to.
type simDescription struct{ obj client.Object }

func simDescribe(obj client.Object) fmt.Stringer { return simDescription{obj} }

func (d simDescription) String() string {
	switch obj := d.obj.(type) {
	case *coordinationv1.Lease:
		holder := ptr.Deref(obj.Spec.HolderIdentity, "")
		return fmt.Sprintf("lease %s of session %s: applied %s, from %s", obj.Name, holder[strings.LastIndex(holder, "_")+1:],
			obj.Annotations[annotationAppliedAPIKeys], obj.ResourceVersion)
	case *v1alpha1.APIKey:
		if obj.DeletionTimestamp != nil {
			return fmt.Sprintf("key %s, being deleted, from %s", obj.Name, obj.ResourceVersion)
		}
		var versions []string
		for _, v := range obj.Status.Versions {
			versions = append(versions, fmt.Sprintf("%s %s", v.ID, v.State))
		}
		return fmt.Sprintf("key %s, %s, from %s", obj.Name, strings.Join(versions, ", "), obj.ResourceVersion)
	}
	return d.obj.GetName()
}

// simOutcome says what became of a write when it is asked to.
type simOutcome struct {
	stored client.Object
	err    error
}

func (o simOutcome) String() string {
	switch {
	case o.err != nil:
		return o.err.Error()
	case o.stored != nil:
		return "stands at " + o.stored.GetResourceVersion()
	}
	return "done"
}

// simMissing lists who is waited for when it is asked to.
type simMissing Acknowledgement

func (m simMissing) String() string {
	names := make([]string, len(m.Missing))
	for i, member := range m.Missing {
		names[i] = fmt.Sprintf("%s (applied %s, silent for %s)", member.Name, member.applied.apiKeys, member.silence)
	}
	return strings.Join(names, ", ")
}
