// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// pass is one look at one APIKey. Phases fill it in; status.go judges it.
type pass struct {
	// key is the APIKey as it is to be; phases change its status.
	key *v1alpha1.APIKey
	// observed is the APIKey as the API server last gave it.
	observed *v1alpha1.APIKey
	// now is the time of the pass: one clock reading for all its judgements.
	now time.Time

	// copied is filled in by disclaim: the status was another APIKey's.
	copied bool
	// organization is filled in by permit; nil if there is none of that name.
	organization *v1alpha1.Organization
	// namespaceRevision is filled in by permit: the resourceVersion of the namespace that
	// permission was decided by.
	namespaceRevision string
	// permission is filled in by permit.
	permission finding
	// dormancy is filled in by permit: why the key is not to work just now
	// although it is permitted. Its zero value means that it is to work.
	dormancy finding

	// secret is filled in by inspect: what is in the Secret's place.
	secret secretState
	// live is the Secret as inspect had to read it, its data redacted.
	live *corev1.Secret
	// held are the keys of accepted versions, by key ID, as inspect found them in live.
	held map[string]keys.Plaintext
	// holds and previous are filled in by inspect: the IDs of the accepted versions that
	// are in the Secret as its current and its previous key; "" for none.
	holds, previous string

	// registration is filled in by register and acknowledge.
	registration finding
	// publication is filled in by publish.
	publication finding
	// withdrawal is filled in by withdraw, where the key is not to work.
	withdrawal finding
	// enforcement is filled in by acknowledge: that some auth server may go by an
	// earlier spec of a key that works. Its zero value means that none does.
	enforcement finding
	// untold is filled in by acknowledge: enforcement began a moment ago, and the
	// status need not say so.
	untold bool
	// revocation is filled in by revoke.
	revocation finding

	// imports is filled in by takeUp and forfeit: how it stands with spec.importedKeys. It is only ok, and
	// has no reason, where nothing is to be imported.
	imports finding

	// replaced is filled in by register: the ID of the key that a new one
	// replaces because its Secret was touched.
	replaced string
	// restored is filled in by register: what a backup has brought back, where a key is
	// minted in its place.
	restored string
	// published is filled in by publish: this pass has put a new key in place;
	// publishedFor is why that was minted.
	published    bool
	publishedFor v1alpha1.MintReason
	// rotated is filled in by publish and rotate: the ID of the key whose place was
	// taken by another that works.
	rotated string
	// due is filled in by register and rotate: why a key is to be minted now.
	due v1alpha1.MintReason
	// turnover is filled in by acknowledge, reap, rotate and retire: how it stands with
	// replacing the key, and with those that it replaced. Its zero value means that there
	// is nothing to say.
	turnover finding
	// pinning is filled in by expel: why spec.activeKeyID cannot be had. Its zero value means
	// that nothing is wrong with it.
	pinning finding
	// considered is filled in by retire: turnover is the last word.
	considered bool
	// told are filled in by expel and retire: what is to be announced when the status
	// says so.
	told []func(context.Context)
	// released is filled in by revoke: nothing is left to be done or said.
	released bool
	// waits is filled in by withdraw, acknowledge and revoke: for auth servers.
	waits bool
	// again is when the next pass is due even if nothing changes; 0 for never.
	again time.Duration
}

// finding is what a phase found out: how it stands, why, and what to do about it.
type finding struct {
	// ok: all is well. The zero finding is not.
	ok bool
	// stalled: nothing will change until a person changes something.
	stalled bool
	// reason is one of the reasons of api/v1alpha1; "" if the phase did not run.
	reason string
	// message is for people, and says what to do where there is something.
	message string
}

func good(reason, message string) finding {
	return finding{ok: true, reason: reason, message: message}
}

// waiting is for what is going to happen without a person.
func waiting(reason, message string) finding {
	return finding{reason: reason, message: message}
}

// stuck is for what a person has to change.
func stuck(reason, message string) finding {
	return finding{stalled: true, reason: reason, message: message}
}

// or returns f, unless there is nothing in it.
func (f finding) or(other finding) finding {
	if f.reason == "" {
		return other
	}
	return f
}

// phase is one step of a pass. It reports whether the next phase may go on.
type phase func(context.Context, *pass) (next bool, err error)

// result is when the next pass comes, and with which priority. A requeue keeps that of this
// pass, which is right for the end of a key only: what is due later is due like all else.
func (p *pass) result() ctrl.Result {
	result := ctrl.Result{RequeueAfter: p.again}
	if !p.waits && p.key.DeletionTimestamp.IsZero() && !p.key.Spec.Suspend {
		result.Priority = ptr.To(0)
	}
	return result
}

// lookAgain has the next pass come after at most d.
func (p *pass) lookAgain(d time.Duration) {
	if p.again == 0 || d < p.again {
		p.again = d
	}
}

// terms are the revisions of what the key is accepted by; permit has to have found the
// Organization.
func (p *pass) terms() registry.Terms {
	return registry.Terms{Organization: p.organization.ResourceVersion, Namespace: p.namespaceRevision}
}

// identity names the APIKey to the registry's waiters.
func (p *pass) identity() client.ObjectKey { return client.ObjectKeyFromObject(p.key) }

// works reports whether the key is to work just now; permit has to have run.
func (p *pass) works() bool { return p.permission.ok && p.dormancy.reason == "" }
