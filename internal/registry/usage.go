// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/utils/ptr"
)

const (
	// annotationUsageAddress is where the replica serves its usage: an IP address and a
	// port.
	annotationUsageAddress = "auth.hexcovery.io/usage-address"
	// annotationUsagePin is the SHA-256 of the certificate there, in hexadecimal.
	annotationUsagePin = "auth.hexcovery.io/usage-certificate-sha256"
	// annotationUsageFinal is "true" when the replica has answered its last request and
	// waits for its counts to be taken.
	annotationUsageFinal = "auth.hexcovery.io/usage-final"
)

// usageNotice is what a Lease says of the usage that its replica has counted.
type usageNotice struct {
	address, pin string
	final        bool
}

// notify writes the notice, over that of a process that held the Lease before.
func (w leaseWriter) notify(annotations map[string]string) {
	var notice usageNotice
	if w.usage != nil {
		notice = w.usage()
	}
	final := ""
	if notice.final {
		final = "true"
	}
	for name, value := range map[string]string{
		annotationUsageAddress: notice.address, annotationUsagePin: notice.pin, annotationUsageFinal: final,
	} {
		if value == "" {
			delete(annotations, name)
		} else {
			annotations[name] = value
		}
	}
}

func (r *Replica) usageNotice() usageNotice {
	return usageNotice{address: r.config.UsageAddress, pin: r.config.UsagePin, final: r.final.Load()}
}

// Process names this process among those that have held, or will hold, its Lease.
func (r *Replica) Process() string { return r.holder }

// Finish has the Lease say that the last request was answered, so that the manager gathers
// the final counts. The replica stays a member: no revocation waits longer for it.
func (r *Replica) Finish() {
	r.final.Store(true)
	if s := r.current.Load(); s != nil {
		s.wake()
	}
}

// UsageSource is an auth server as a source of usage.
type UsageSource struct {
	// Name of its Lease.
	Name string
	// Process is the one that holds it.
	Process string
	// Address is where to ask, and Pin the SHA-256 of the certificate there; empty if
	// it serves no usage.
	Address, Pin string
	// Final: it has answered its last request, and waits until its counts are taken.
	Final bool
	// Fenced: it is known to serve nothing any more.
	Fenced bool
}

// UsageSources lists the auth servers as they are now, or were at some time after since.
// asked is when that was.
func (m *Members) UsageSources(ctx context.Context, since time.Time) (sources []UsageSource, asked time.Time, err error) {
	snapshot, err := m.snapshot(ctx, since)
	if err != nil {
		return nil, time.Time{}, err
	}
	for i := range snapshot.members {
		source := UsageSourceOf(snapshot.members[i].lease)
		source.Fenced = snapshot.members[i].runOut()
		sources = append(sources, source)
	}
	return sources, snapshot.asked, nil
}

// UsageSourceOf reads a Lease. It does not know whether the replica is fenced.
func UsageSourceOf(lease *coordinationv1.Lease) UsageSource {
	// A process that joins anew changes what follows the last underscore.
	process := ptr.Deref(lease.Spec.HolderIdentity, "")
	if end := strings.LastIndexByte(process, '_'); end >= 0 {
		process = process[:end]
	}
	return UsageSource{
		Name: lease.Name, Process: process,
		Address: lease.Annotations[annotationUsageAddress], Pin: lease.Annotations[annotationUsagePin],
		Final: lease.Annotations[annotationUsageFinal] == "true",
	}
}
