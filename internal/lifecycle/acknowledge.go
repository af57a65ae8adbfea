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
	if !d.stored() {
		// Auth servers accept no key of an APIKey that was refused, so what they have to
		// load is the write that is due now, and not an earlier one.
		d.registration = d.waiting()
		return false
	}
	v := current(&d.next)
	if v.State == v1alpha1.VersionActive {
		return d.apply(v)
	}
	ack, known := d.await(Register, fmt.Sprintf("key %s, generation %d", v.ID, d.Key.Generation))
	if known && ack.Complete {
		d.registration = loadedByAll
		return true
	}
	finding := d.waiting()
	switch {
	case ack.None:
		finding = noAuthServer
	case ack.Slow:
		finding.message = waitingToLoad(ack)
	}
	if active(&d.next) == nil {
		d.registration = finding
	} else {
		finding.reason = v1alpha1.ReasonRotating
		d.turnover = finding
	}
	return false
}

var loadedByAll = finding{v1alpha1.ReasonRegistered, "All auth servers have loaded the key's hash."}

var noAuthServer = finding{v1alpha1.ReasonNoAuthServer, "No auth server is running, so nothing could accept the key. Deploy the auth server."}

// waiting is how it stands with a key that auth servers have to load.
func (d *decision) waiting() finding {
	reason := v1alpha1.ReasonWaitingForAuthServers
	if active(&d.next) != nil {
		reason = v1alpha1.ReasonResuming
	}
	return finding{reason, "Waiting for auth servers to load the key's hash."}
}

func waitingToLoad(ack Ack) string {
	if ack.None {
		return noAuthServer.message
	}
	return ack.wait("load the key's hash")
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
		ack, known := d.await(Register, fmt.Sprintf("key %s again, generation %d", v.ID, generation))
		resumed = known && ack.Complete
		switch d.registration = d.waiting(); {
		case resumed:
			d.registration = loadedByAll
		case ack.None:
			d.registration = noAuthServer
		case ack.Slow:
			d.registration.message = waitingToLoad(ack)
		default:
			// What is waited for is in the status, from the write that has the key work again.
			d.brief = true
		}
	}
	switch ack, known := d.await(Revoke, fmt.Sprintf("generation %d", generation)); {
	case known && ack.Complete && resumed:
		d.next.AppliedGeneration = generation
	case known && ack.Slow:
		d.applying = finding{v1alpha1.ReasonApplying, ack.wait(fmt.Sprintf("apply generation %d", generation))}
	case resumed:
		d.brief = true
	}
	return resumed
}
