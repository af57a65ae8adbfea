// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"fmt"
	"math"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// labelComponent marks the Leases of auth servers among those of its namespace.
	labelComponent = "auth.hexcovery.io/component"
	componentValue = "authserver"

	// annotationAppliedAPIKeys is the resourceVersion of APIKeys up to which the
	// replica has applied every change; "0" while it has applied none.
	annotationAppliedAPIKeys = "auth.hexcovery.io/applied-apikeys"
	// annotationAppliedOrganizations is the same for Organizations.
	annotationAppliedOrganizations = "auth.hexcovery.io/applied-organizations"
	// annotationAppliedNamespaces is the same for Namespaces.
	annotationAppliedNamespaces = "auth.hexcovery.io/applied-namespaces"
	// annotationUndecided is there while the replica calls no key unknown although it
	// renews: the kind that it cannot follow, and why. New keys do not wait for it.
	annotationUndecided = "auth.hexcovery.io/undecided"
	// annotationSuspectAfter is how long after its last renewal the replica stops
	// saying that a key is unknown, as a Go duration.
	annotationSuspectAfter = "auth.hexcovery.io/suspect-after"

	// nothingApplied is less than every resourceVersion.
	nothingApplied = "0"
)

// LeaseLabels select the Leases of auth servers.
func LeaseLabels() client.MatchingLabels {
	return client.MatchingLabels{labelComponent: componentValue}
}

// report is what a replica says in its Lease.
type report struct {
	apiKeys, organizations, namespaces string
	// undecided is why no key is called unknown; "" if some are.
	undecided string
}

// nothing is what a replica reports that has applied nothing.
func nothing() report {
	return report{apiKeys: nothingApplied, organizations: nothingApplied, namespaces: nothingApplied}
}

// reportOf reads what a Lease says.
func reportOf(lease *coordinationv1.Lease) report {
	return report{
		apiKeys:       lease.Annotations[annotationAppliedAPIKeys],
		organizations: lease.Annotations[annotationAppliedOrganizations],
		namespaces:    lease.Annotations[annotationAppliedNamespaces],
		undecided:     lease.Annotations[annotationUndecided],
	}
}

// includes reports whether whoever has applied r has applied other.
func (r report) includes(other report) bool {
	return hasApplied(r.apiKeys, other.apiKeys) && hasApplied(r.organizations, other.organizations) &&
		hasApplied(r.namespaces, other.namespaces)
}

// leaseWriter fills in a replica's Lease.
type leaseWriter struct {
	namespace, name string
	holder          string
	maxStaleness    time.Duration
	suspectAfter    time.Duration
	// usage is what the Lease says of usage; nil for nothing.
	usage func() usageNotice
}

// join returns the Lease of a replica that begins: a new one, or what previous,
// which a dead process of the same pod held, becomes.
func (w leaseWriter) join(previous *coordinationv1.Lease, now time.Time) *coordinationv1.Lease {
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: w.name}}
	transitions := int32(0)
	if previous != nil {
		lease = previous.DeepCopy()
		transitions = ptr.Deref(previous.Spec.LeaseTransitions, 0) + 1
	}
	lease.Spec = coordinationv1.LeaseSpec{
		HolderIdentity: ptr.To(w.holder),
		// Whole seconds, rounded up: the manager must not wait shorter than the
		// replica may serve.
		LeaseDurationSeconds: ptr.To(int32(math.Ceil(w.maxStaleness.Seconds()))),
		AcquireTime:          ptr.To(metav1.NewMicroTime(now)),
		LeaseTransitions:     ptr.To(transitions),
	}
	return w.renew(lease, nothing(), now)
}

// renew returns lease as it is to be written next. It does not change lease.
func (w leaseWriter) renew(lease *coordinationv1.Lease, r report, now time.Time) *coordinationv1.Lease {
	next := lease.DeepCopy()
	if next.Labels == nil {
		next.Labels = map[string]string{}
	}
	// Also when somebody took it off: without it nobody waits for this replica.
	next.Labels[labelComponent] = componentValue
	if next.Annotations == nil {
		next.Annotations = map[string]string{}
	}
	next.Annotations[annotationAppliedAPIKeys] = r.apiKeys
	next.Annotations[annotationAppliedOrganizations] = r.organizations
	next.Annotations[annotationAppliedNamespaces] = r.namespaces
	if r.undecided == "" {
		delete(next.Annotations, annotationUndecided)
	} else {
		next.Annotations[annotationUndecided] = r.undecided
	}
	next.Annotations[annotationSuspectAfter] = w.suspectAfter.String()
	w.notify(next.Annotations)
	next.Spec.RenewTime = ptr.To(metav1.NewMicroTime(now))
	return next
}

// heldBy reports whether holder is the one that lease names.
func heldBy(lease *coordinationv1.Lease, holder string) bool {
	return ptr.Deref(lease.Spec.HolderIdentity, "") == holder
}

// bounds are the durations that a Lease promises about its replica.
type bounds struct {
	// staleness: the replica serves nothing so long after its last renewal.
	staleness time.Duration
	// suspect: the replica calls no key unknown so long after its last renewal.
	suspect time.Duration
}

// leaseBounds reads the bounds of a Lease. What cannot be read, and what no auth server
// may promise, gives the longest bound, so that a broken Lease makes the manager wait, and
// never hurry, and a forged one does not make it wait for ever.
func leaseBounds(lease *coordinationv1.Lease) bounds {
	b := bounds{staleness: LongestStaleness}
	if seconds := ptr.Deref(lease.Spec.LeaseDurationSeconds, 0); seconds > 0 {
		b.staleness = min(time.Duration(seconds)*time.Second, LongestStaleness)
	}
	b.suspect = b.staleness
	if d, err := time.ParseDuration(lease.Annotations[annotationSuspectAfter]); err == nil && d > 0 && d < b.staleness {
		b.suspect = d
	}
	return b
}

// hasApplied reports whether applied, as a Lease gives it, is revision or later.
// What cannot be compared is not applied.
func hasApplied(applied, revision string) bool {
	if applied == nothingApplied {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(applied, revision)
	return err == nil && order >= 0
}

// validRevision returns an error for what is no resourceVersion of a live object.
func validRevision(revision string) error {
	if _, err := resourceversion.CompareResourceVersion(revision, revision); err != nil {
		return fmt.Errorf("revision: %w", err)
	}
	return nil
}
