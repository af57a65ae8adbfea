// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import "github.com/hexcovery/apikey-operator/api/v1alpha1"

// publish has the key that all auth servers have loaded be in its Secret, and the one that
// it replaces in the previous one.
func (d *decision) publish() bool {
	v := current(&d.next)
	if d.main != (holding{secretCurrent, v.ID}) && !d.putsOffRepair(v) {
		return d.publishNow(v)
	}
	d.next.KeyID = v.ID
	d.next.SecretRef = &v1alpha1.SecretReference{Name: d.Key.SecretName()}
	if v.State == v1alpha1.VersionPending {
		d.activate(v)
	}
	return true
}

// publishNow has the Secret be written. It reports false.
func (d *decision) publishNow(v *version) bool {
	old := active(&d.next)
	first := v.State == v1alpha1.VersionPending && old == nil
	// A Secret that holds the key already was written before the manager that did it ended.
	replaces := first && d.Secret.Secret != nil && d.main.id != v.ID
	switch {
	case !d.Secret.Live && d.main.state != secretAbsent, !d.Secret.Live && !first:
		// The cache has no keys, and what is written must be what was seen.
		return d.askSecrets()
	case d.marked(v) && v.State == v1alpha1.VersionPending && old != nil:
		return d.replaceGivenUp(v)
	case replaces && d.Superseded == nil:
		d.plan.Ask.Superseded = true
		return false
	case replaces && *d.Superseded:
		// Another manager leads since this one was paused. The watch brings what the APIKey
		// has become.
		d.again(recheckConflict)
		return false
	case !d.Held.Has(v.ID):
		return d.replaceDrifted(v.ID)
	case v.ID != d.main.id && old != nil && v.State == v1alpha1.VersionPending && d.Held.Has(old.ID) &&
		d.previous.id != old.ID && d.canKeepPrevious():
		return d.write(SecretWrite{Previous: true, KeyID: old.ID, Anew: d.previous.state == secretLeftover})
	}
	return d.write(SecretWrite{KeyID: v.ID, Anew: d.main.state == secretLeftover, Form: d.form(v.ID)})
}

// write has a Secret be written, unless another write comes first. It reports false.
func (d *decision) write(w SecretWrite) bool {
	switch {
	case d.Template != "" && !w.Previous:
		d.publication = found(v1alpha1.ReasonInvalidTemplate, "spec.secret.data: %s", d.Template)
	case d.Refusal != "" && !w.Previous:
		d.publication = found(v1alpha1.ReasonSecretRefused,
			"The Secret is refused (%s). Look at the namespace's quotas and admission policies.", d.Refusal)
		d.again(recheckConflict)
	case d.plan.Step == StepNone:
		d.plan.Step, d.plan.Secret = StepSecret, w
	}
	return false
}

// canKeepPrevious reports whether there can be a Secret for the previous key. Where its
// place is taken, or the API server refuses it, a rotation cannot be undone, and goes on.
func (d *decision) canKeepPrevious() bool {
	return d.previous.state != secretForeign && !d.PreviousRefused
}

// keepPrevious brings the Secret of the previous key into line: it holds the key that was
// replaced last, for as long as that works, and is not there otherwise.
func (d *decision) keepPrevious() bool {
	v := previousOf(&d.next)
	if !d.canKeepPrevious() {
		return true
	}
	have := d.previous
	switch {
	case v != nil && have.id == v.ID && have.state == secretCurrent, have.state == secretAbsent && (v == nil || !d.Held.Has(v.ID)),
		have.state == secretLeftover:
		return true
	case !d.Previous.Live:
		return d.askSecrets()
	case v != nil && d.Held.Has(v.ID):
		if have == (holding{secretOutdated, v.ID}) && d.putsOff(&d.Repairs.Previous, v) {
			return true
		}
		return d.write(SecretWrite{Previous: true, KeyID: v.ID, Form: d.form(v.ID)})
	}
	return d.write(SecretWrite{Previous: true})
}

// replaceGivenUp gives up, in the status, a key that this manager is about to publish and
// that another, which began to lead while this one was paused, has given up by a mark: it
// may have ended before it wrote that down. If it has not, one of the two writes is refused,
// and if the mark is not seen here, that of the Secret. Another key is minted. Whoever may
// write the Secret may set the mark, too, so it is done later and later.
func (d *decision) replaceGivenUp(v *version) bool {
	if left := backOffLeft(d.Repairs.GivenUp+1, d.Repairs.GaveUp, d.Now); d.Repairs.GivenUp > 0 && left > 0 {
		d.again(left)
		return false
	}
	d.end(v, v1alpha1.RevokedAbandoned)
	return d.mint(v.MintReason)
}

// putsOffRepair reports whether the Secret holds the key that it is to hold, and what else
// somebody has changed in it is not put right just now.
func (d *decision) putsOffRepair(v *version) bool {
	return v.State == v1alpha1.VersionActive && d.main == (holding{secretOutdated, v.ID}) && d.putsOff(&d.Repairs.Main, v)
}

// putsOff reports whether a Secret with the key v was put right too often to do so again just now.
func (d *decision) putsOff(r *Repair, v *version) bool {
	if r.Again == 0 || r.Form != d.form(v.ID) {
		return false
	}
	left := backOffLeft(r.Again+1, r.Last, d.Now)
	d.again(left)
	return left > 0
}
