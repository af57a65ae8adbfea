// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

const (
	// keyIDLength is how many digits of a hash are its key ID.
	keyIDLength = 12
	// maxMessage is the most that a condition says of imports, in bytes.
	maxMessage = 300
)

// takeUp has the versions agree with spec.importedKeys, and finds out whether the auth
// servers know it. The current key waits for none of it.
//
// What it changes it writes itself: nobody else may be told that a hash is free before
// the write is in the cache, and a key that was taken out of the list is to be refused
// whatever becomes of the rest of the pass.
func (r *APIKeyReconciler) takeUp(ctx context.Context, p *pass) (next bool, err error) {
	if len(p.key.Spec.ImportedKeys) == 0 && !hasImports(&p.key.Status) {
		p.imports = finding{ok: true}
		r.Imports.Done(p.identity())
		return true, nil
	}
	plan := planImports(p.key, p.organization.EffectiveImports())
	if err := r.giveWay(ctx, p, &plan); err != nil {
		return false, err
	}
	reserved, err := r.reserve(ctx, p, &plan)
	defer r.free(reserved)
	if err != nil {
		return false, err
	}
	for _, digest := range reserved {
		plan.take(digest, p.key.CreationTimestamp, p.now)
	}
	fresh := slices.DeleteFunc(slices.Clone(plan.declined), func(hash string) bool {
		return slices.Contains(p.key.Status.RefusedImports, hash)
	})
	if err := r.writeImports(ctx, p, &plan); err != nil {
		return false, err
	}
	for _, id := range plan.ended {
		r.decide(p, p.version(id))
	}
	for _, digest := range reserved {
		r.record(ctx, p, audit.Event{Action: audit.Imported, KeyID: digest.KeyID()})
	}
	refused, err := r.refusals(ctx, p, &plan, fresh)
	if err != nil {
		return false, err
	}
	return true, r.judgeImports(ctx, p, &plan, refused, len(reserved) > 0)
}

// forfeit ends what an APIKey has imported that its Organization blocks, so that whoever
// it belongs to can import it. The key that was minted stays, and is refused.
func (r *APIKeyReconciler) forfeit(ctx context.Context, p *pass) (next bool, err error) {
	if p.permission.reason != v1alpha1.ReasonBlocked || len(p.key.Spec.ImportedKeys) == 0 && !hasImports(&p.key.Status) {
		return true, nil
	}
	plan := forfeitImports(p.key)
	if err := r.writeImports(ctx, p, &plan); err != nil {
		return false, err
	}
	for _, id := range plan.ended {
		r.decide(p, p.version(id))
	}
	if len(p.key.Spec.ImportedKeys) > 0 {
		p.imports = stuck(v1alpha1.ReasonBlocked, "The Organization blocks this APIKey. No key of spec.importedKeys is accepted, and others may import them.")
	}
	return true, nil
}

// hasImports reports whether a status has anything that is due to spec.importedKeys.
func hasImports(status *v1alpha1.APIKeyStatus) bool {
	return len(status.Imports) > 0 || len(status.RefusedImports) > 0 || slices.ContainsFunc(status.Versions, isImported)
}

func isImported(v v1alpha1.KeyVersion) bool { return v.Imported() }

// giveWay gives up the imported keys that an older APIKey has, too.
func (r *APIKeyReconciler) giveWay(ctx context.Context, p *pass, plan *importPlan) error {
	for _, hash := range slices.Clone(plan.imports) {
		if !plan.accepts(hash) {
			continue
		}
		rivals, err := r.rivals(ctx, p, hash, client.DisableReadYourWritesConsistency)
		if err != nil {
			return err
		}
		for i := range rivals {
			if hashesOf(&rivals[i]).Has(hash) && older(&rivals[i], p.key) {
				plan.giveUp(hash)
				break
			}
		}
	}
	return nil
}

// reserve returns which of the hashes that are wanted are nobody else's, and keeps others
// from taking them until they are freed.
func (r *APIKeyReconciler) reserve(ctx context.Context, p *pass, plan *importPlan) (reserved []keys.Digest, err error) {
	if len(plan.wanted) > 0 {
		if err := r.ensureFinalizer(ctx, p); err != nil {
			return nil, err
		}
	}
	for _, digest := range plan.wanted {
		// What the cache shows is enough for a refusal: many who want a key that somebody
		// has do not contend for it.
		rivals, err := r.rivals(ctx, p, digest.String(), client.DisableReadYourWritesConsistency)
		if err != nil {
			return reserved, err
		}
		if len(rivals) > 0 {
			plan.decline(digest.String())
			continue
		}
		_, taken := r.importing.LoadOrStore(digest, p.key.UID)
		if taken {
			// Two began to list it at once; who was first has it, or is refused as well.
			plan.decline(digest.String())
			continue
		}
		reserved = append(reserved, digest)
		// With every write that was made before: whoever had it reserved has written.
		if rivals, err = r.rivals(ctx, p, digest.String()); err != nil {
			return reserved, err
		}
		if len(rivals) > 0 {
			r.free(reserved[len(reserved)-1:])
			reserved = reserved[:len(reserved)-1]
			plan.decline(digest.String())
		}
	}
	return reserved, nil
}

func (r *APIKeyReconciler) free(reserved []keys.Digest) {
	for _, digest := range reserved {
		r.importing.Delete(digest)
	}
}

// rivals returns the other APIKeys that have a hash, whatever they have it as, or one with
// the same key ID: it is what people and audit trails know a key by, and a hash can be
// made up that imitates one.
func (r *APIKeyReconciler) rivals(ctx context.Context, p *pass, hash string, options ...client.ListOption) ([]v1alpha1.APIKey, error) {
	list := &v1alpha1.APIKeyList{}
	options = append(options, client.MatchingFields{indexKeyID: hash[:keyIDLength]}, client.UnsafeDisableDeepCopy)
	if err := r.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list APIKeys with the same key ID: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(list.Items), func(other v1alpha1.APIKey) bool { return other.UID == p.key.UID }), nil
}

// refusals says of each hash that was declined why, and tells of those that were declined
// just now: the audit trail, and whoever has them.
func (r *APIKeyReconciler) refusals(ctx context.Context, p *pass, plan *importPlan, fresh []string) ([]string, error) {
	var refused []string
	for _, hash := range plan.declined {
		rivals, err := r.rivals(ctx, p, hash, client.DisableReadYourWritesConsistency)
		if err != nil {
			return nil, err
		}
		refused = append(refused, whyRefused(p.key, hash, rivals))
		if slices.Contains(fresh, hash) {
			r.tellRefused(ctx, p, hash, rivals)
		}
	}
	return refused, nil
}

// tellRefused tells that a hash was refused just now. The audit trail is the platform's,
// and names who has it. Who has it is not told who asked: that may be in a namespace that
// is none of its business.
func (r *APIKeyReconciler) tellRefused(ctx context.Context, p *pass, hash string, rivals []v1alpha1.APIKey) {
	id := hash[:keyIDLength]
	message := fmt.Sprintf("APIKey %s: spec.importedKeys has key %s", p.identity(), id)
	if len(rivals) > 0 {
		message += fmt.Sprintf(", which APIKey %s has, or one with the same ID", client.ObjectKeyFromObject(&rivals[0]))
		r.Events.importContested(&rivals[0], id)
		if rivals[0].Namespace == p.key.Namespace {
			r.Events.importRefused(p.key, v1alpha1.ReasonImportRefused, fmt.Sprintf("Key %s is one of APIKey %q, or has the ID of one.", id, rivals[0].Name))
		}
	}
	r.noteRefusal(ctx, p, v1alpha1.ReasonImportRefused, message)
}

// noteRefusal writes an audit line about an import, or counts it towards one: whoever may
// create APIKeys can have as many refused as they like.
func (r *APIKeyReconciler) noteRefusal(ctx context.Context, p *pass, reason, message string) {
	if r.Refusals == nil {
		r.record(ctx, p, audit.Event{Action: audit.Refused, Reason: reason, Message: message})
		return
	}
	kind := audit.Kind{Reason: reason, Object: audit.Object{Namespace: p.key.Namespace}, Actor: actorOf(p, audit.Refused)}
	r.Refusals.NoteLatest(kind, message)
}

// whyRefused says what a hash is that was declined. It names nobody who has it: others
// need not learn that they exist, and what becomes of them must be no change, and so no
// write, for everybody who lists the hash. The event and the audit line of the moment do.
func whyRefused(key *v1alpha1.APIKey, hash string, rivals []v1alpha1.APIKey) string {
	id := hash[:keyIDLength]
	if slices.ContainsFunc(key.Status.Versions, func(v v1alpha1.KeyVersion) bool { return v.ID == id && v.SHA256 != hash }) {
		return fmt.Sprintf("%s… has the key ID of another key of this APIKey", hash[:keyIDLength+4])
	}
	has := func(rival v1alpha1.APIKey) bool { return hashesOf(&rival).Has(hash) }
	if len(rivals) > 0 && !slices.ContainsFunc(rivals, has) {
		return id + " has the key ID of a key of another APIKey"
	}
	return id + " is or was a key of another APIKey"
}

// writeImports writes what the plan changes, and nothing else: what the rest of the
// status is to say nobody has found out yet.
func (r *APIKeyReconciler) writeImports(ctx context.Context, p *pass, plan *importPlan) error {
	before := p.observed.Status
	slices.Sort(plan.imports)
	slices.Sort(plan.declined)
	status := &p.key.Status
	status.Versions, status.Imports, status.RefusedImports = plan.versions, plan.imports, plan.declined
	if equality.Semantic.DeepEqual(before.Versions, plan.versions) && equality.Semantic.DeepEqual(before.Imports, plan.imports) &&
		equality.Semantic.DeepEqual(before.RefusedImports, plan.declined) {
		return nil
	}
	// As far as no phase has judged it the status is as it was read, or empty if it was
	// another APIKey's. It counts for its own, and for an organization's id, from the
	// first version on.
	p.key.Status.UID = p.key.UID
	written := p.observed.DeepCopy()
	written.Status = *p.key.Status.DeepCopy()
	if err := r.Status().Patch(ctx, written, client.MergeFromWithOptions(p.observed, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	p.observed = written
	p.key.ObjectMeta = *written.ObjectMeta.DeepCopy()
	return nil
}

// judgeImports finds out how it stands with spec.importedKeys.
func (r *APIKeyReconciler) judgeImports(ctx context.Context, p *pass, plan *importPlan, refused []string, added bool) error {
	condition := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionImported)
	switch {
	case len(p.key.Spec.ImportedKeys) == 0:
		p.imports = finding{ok: true}
	case p.organization.EffectiveImports() == v1alpha1.ImportForbidden:
		p.imports = stuck(v1alpha1.ReasonImportForbidden, fmt.Sprintf(
			"Organization %.100q does not permit imports. Ask a platform admin to set its spec.imports, or take the keys out of spec.importedKeys.", p.organization.Name))
		if condition == nil || condition.Reason != v1alpha1.ReasonImportForbidden {
			r.noteRefusal(ctx, p, v1alpha1.ReasonImportForbidden, fmt.Sprintf("APIKey %s lists keys in spec.importedKeys", p.identity()))
		}
		r.tellImports(p, condition)
	case len(refused)+plan.malformed > 0:
		p.imports = stuck(v1alpha1.ReasonImportRefused, refusedMessage(refused, plan.malformed))
		r.tellImports(p, condition)
	case len(plan.postponed) > 0:
		p.imports = waiting(v1alpha1.ReasonImporting,
			fmt.Sprintf("key %s waits until earlier keys of this APIKey are gone", strings.Join(plan.postponed, ", ")))
	case tooOldToImport(p):
		p.imports = stuck(v1alpha1.ReasonExpired,
			"This APIKey is older than the Organization's spec.maxKeyAge, so no key of spec.importedKeys is accepted. Move clients to the key in the Secret, or import into a new APIKey.")
		r.tellImports(p, condition)
	case !added && condition != nil && condition.Reason == v1alpha1.ReasonImported:
		p.imports = imported(p.key)
	default:
		return r.awaitImports(ctx, p)
	}
	r.Imports.Done(p.identity())
	return nil
}

// tellImports announces why keys of spec.importedKeys are not accepted, unless the status says
// so already.
func (r *APIKeyReconciler) tellImports(p *pass, before *metav1.Condition) {
	if found := p.imports; before == nil || before.Reason != found.reason || before.Message != found.message {
		p.tell(func(context.Context) { r.Events.importRefused(p.key, found.reason, found.message) })
	}
}

// refusedMessage names as many of the hashes that were refused as people read.
func refusedMessage(refused []string, malformed int) string {
	const advice = ". A key belongs to one APIKey: take it out of spec.importedKeys. Put back, it is considered anew."
	if malformed > 0 {
		refused = append(slices.Clone(refused), "an entry is no SHA-256")
	}
	message := refused[0]
	for i, next := range refused[1:] {
		const room = maxMessage - len(advice) - len("; and 9 more")
		if len(message)+len("; ")+len(next) > room {
			message += fmt.Sprintf("; and %d more", len(refused)-1-i)
			break
		}
		message += "; " + next
	}
	return message + advice
}

// tooOldToImport reports whether imported keys are older than the Organization permits,
// and has the next pass come when they will be.
func tooOldToImport(p *pass) bool {
	if p.organization.Spec.MaxKeyAge == nil {
		return false
	}
	left := p.key.CreationTimestamp.Add(p.organization.Spec.MaxKeyAge.Duration).Sub(p.now)
	if left > 0 {
		p.lookAgain(left)
	}
	return left <= 0
}

// awaitImports finds out whether every live auth server knows what was imported.
func (r *APIKeyReconciler) awaitImports(ctx context.Context, p *pass) error {
	p.imports = waiting(v1alpha1.ReasonImporting, "waiting for the auth servers to learn of the keys")
	if !admitted(p.observed) {
		// Auth servers accept nothing of an APIKey that is not seen to be permitted, or was
		// taken back: they have to learn of a later write than this one.
		return nil
	}
	wait := r.Imports.Wait(p.identity(), fmt.Sprintf("import for generation %d: %s", p.key.Generation, strings.Join(p.key.Status.Imports, ", ")), p.observed.ResourceVersion)
	if !wait.Worthwhile {
		p.lookAgain(registry.Patience)
		return nil
	}
	found, err := r.Members.Registration(ctx, wait, p.terms())
	switch {
	case err != nil:
		return err
	case found.Of > 0 && found.Complete():
		r.Imports.Done(p.identity())
		p.imports = imported(p.key)
		return nil
	case found.Of == 0:
		p.imports.message = "no auth server is running, so nothing could accept the keys"
	case p.now.Sub(wait.Since) >= registry.Patience:
		p.imports.message = fmt.Sprintf("waiting for %d of %d auth servers: %s", len(found.Missing), found.Of, registry.Describe(found.Missing))
	}
	p.lookAgain(registry.Patience)
	return nil
}

// imported says how many keys of spec.importedKeys work, and how many have ended.
func imported(key *v1alpha1.APIKey) finding {
	working := 0
	for i := range key.Status.Versions {
		if v := &key.Status.Versions[i]; v.State.Accepted() && slices.Contains(key.Status.Imports, v.SHA256) {
			working++
		}
	}
	message := fmt.Sprintf("%d of %d keys of spec.importedKeys work", working, len(key.Status.Imports))
	if working < len(key.Status.Imports) {
		message += "; the others have retired"
	}
	return good(v1alpha1.ReasonImported, message)
}

// judgeImported sets the condition of spec.importedKeys.
func judgeImported(p *pass) {
	switch {
	case p.imports == finding{ok: true}:
		meta.RemoveStatusCondition(&p.key.Status.Conditions, v1alpha1.ConditionImported)
	case p.imports.reason != "":
		setCondition(p, v1alpha1.ConditionImported, p.imports)
	}
}
