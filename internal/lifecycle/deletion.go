// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import "github.com/hexcovery/apikey-operator/api/v1alpha1"

// finalize ends an APIKey that is being deleted. Auth servers have refused its keys since
// each saw the deletionTimestamp; this waits until all have, then removes the Secrets, then
// the finalizer. Whoever sees the APIKey gone knows that the key is dead. Where the wait
// takes long the Secret does not wait.
func (d *decision) finalize() {
	// With the UID: an APIKey that was made anew under the same name must not be taken for
	// revoked because the one before it was.
	ack := d.await(Revoke, "deleted %s", d.Key.UID)
	if !ack.Complete && !ack.Slow {
		return
	}
	if d.Refusal == "" && !d.Removed && (ack.Complete || d.next.SecretRef != nil) {
		d.plan.Step = StepRemove
		return
	}
	if d.Refusal != "" || ack.Complete && d.Unwritable != "" {
		d.again(recheckConflict)
	}
	switch {
	case !ack.Complete:
		d.withdrawal = finding{v1alpha1.ReasonRevoking, ack.wait("drop the key")}
		if d.Removed {
			d.next.SecretRef = nil
			d.publication = found(v1alpha1.ReasonNotPublished, "Secret %.100q is deleted.", d.Key.SecretName())
		}
	case d.Refusal != "":
		d.withdrawal = found(v1alpha1.ReasonSecretRefused,
			"No auth server accepts the key. The deletion of Secret %.100q is refused (%s). Look at the namespace's admission policies.",
			d.Key.SecretName(), d.Refusal)
	case d.Unwritable != "":
		d.withdrawal = found(v1alpha1.ReasonWriteRefused,
			"No auth server accepts the key. The removal of the finalizer is refused (%s). Look at the cluster's admission policies.", d.Unwritable)
	default:
		d.plan.Step = StepRelease
	}
}
