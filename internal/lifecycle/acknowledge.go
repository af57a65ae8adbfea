// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// acknowledge waits until no auth server may call the key unknown: whoever gets it then can
// use it at once, everywhere. Of a key that they know it waits until each applies what its
// APIKey has become.
func (d *decision) acknowledge() bool {
	v := current(&d.next)
	switch {
	case !d.stored():
		// Auth servers accept no key of an APIKey that was refused, so what they have to
		// load is the write that is due now, and not an earlier one.
		d.registration = d.loading(Ack{})
		return false
	case v.State == v1alpha1.VersionActive:
		return d.apply(v)
	}
	ack := d.await(Register, "key %s, generation %d", v.ID, d.Key.Generation)
	if stands := d.loading(ack); ack.Complete || active(&d.next) == nil {
		d.registration = stands
	} else {
		d.turnover = finding{v1alpha1.ReasonRotating, stands.message}
	}
	return ack.Complete
}

var loadedByAll = finding{v1alpha1.ReasonRegistered, "All auth servers have loaded the key's hash."}

// loading is how it stands with a key that auth servers have to load.
func (d *decision) loading(ack Ack) finding {
	stands := finding{v1alpha1.ReasonWaitingForAuthServers, "Waiting for auth servers to load the key's hash."}
	if active(&d.next) != nil {
		stands.reason = v1alpha1.ReasonResuming
	}
	switch {
	case ack.Complete:
		return loadedByAll
	case ack.None:
		return finding{v1alpha1.ReasonNoAuthServer, "No auth server is running, so nothing could accept the key. Deploy the auth server."}
	case ack.Slow:
		stands.message = ack.wait("load the key's hash")
	}
	return stands
}

// apply waits until no auth server applies an earlier generation, nor refuses a key that
// works again.
func (d *decision) apply(v *version) bool {
	generation := d.Key.Generation
	if d.next.AppliedGeneration == generation {
		return true
	}
	resumed := d.next.AppliedGeneration != 0
	if !resumed {
		ack := d.await(Register, "key %s again, generation %d", v.ID, generation)
		resumed, d.registration = ack.Complete, d.loading(ack)
		// What is waited for is in the status, from the write that has the key work again.
		d.brief = !ack.Complete && !ack.None && !ack.Slow
	}
	switch ack := d.await(Revoke, "generation %d", generation); {
	case ack.Complete && resumed:
		d.next.AppliedGeneration = generation
	case ack.Slow:
		d.applying = finding{v1alpha1.ReasonApplying, ack.wait(fmt.Sprintf("apply generation %d", generation))}
	case resumed:
		d.brief = true
	}
	return resumed
}
