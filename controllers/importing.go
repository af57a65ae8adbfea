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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/audit"
	"github.com/hexcovery/apikey-operator/internal/keys"
	"github.com/hexcovery/apikey-operator/internal/registry"
)

// keyIDLength is how many digits of a hash are its key ID.
const keyIDLength = 12

// takeUp has the versions agree with spec.import, and finds out whether the auth
// servers know it. The current key waits for none of it.
//
// What it changes it writes itself: nobody else may be told that a hash is free before
// the write is in the cache, and a key that was taken out of the list is to be refused
// whatever becomes of the rest of the pass.
func (r *APIKeyReconciler) takeUp(ctx context.Context, p *pass) (next bool, err error) {
	if len(p.key.Spec.Import) == 0 && len(p.key.Status.Imports) == 0 && !slices.ContainsFunc(p.key.Status.Versions, isImported) {
		p.imports = finding{ok: true}
		r.Imports.Done(p.identity())
		return true, nil
	}
	plan := planImports(p.key)
	if err := r.giveWay(ctx, p, &plan); err != nil {
		return false, err
	}
	reserved, err := r.reserve(ctx, p, &plan)
	defer r.free(reserved)
	if err != nil {
		return false, err
	}
	for _, digest := range reserved {
		plan.take(digest, p.now)
	}
	if err := r.writeImports(ctx, p, &plan); err != nil {
		return false, err
	}
	for _, id := range plan.ended {
		r.decide(p, p.version(id))
	}
	for _, digest := range reserved {
		r.record(ctx, p, audit.Event{Action: audit.Imported, KeyID: digest.KeyID()})
	}
	return true, r.judgeImports(ctx, p, &plan, len(reserved) > 0)
}

func isImported(v v1alpha1.KeyVersion) bool { return v.Imported() }

// giveWay gives up the imported keys that an older APIKey has, too.
func (r *APIKeyReconciler) giveWay(ctx context.Context, p *pass, plan *importPlan) error {
	for _, hash := range slices.Clone(plan.imports) {
		if !plan.accepts(hash) {
			continue
		}
		rivals, err := r.others(ctx, p, hash, client.DisableReadYourWritesConsistency)
		if err != nil {
			return err
		}
		for i := range rivals {
			if older(&rivals[i], p.key) {
				plan.giveUp(hash)
				r.refuse(p, plan, hash, &rivals[i])
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
		if _, taken := r.importing.LoadOrStore(digest, p.key.UID); taken {
			plan.postponed = append(plan.postponed, digest.KeyID())
			p.lookAgain(conflictRetry)
			continue
		}
		reserved = append(reserved, digest)
		// With every write that was made before: whoever had it reserved has written.
		rivals, err := r.others(ctx, p, digest.String())
		if err != nil {
			return reserved, err
		}
		if len(rivals) > 0 {
			r.free(reserved[len(reserved)-1:])
			reserved = reserved[:len(reserved)-1]
			r.refuse(p, plan, digest.String(), &rivals[0])
		}
	}
	return reserved, nil
}

func (r *APIKeyReconciler) free(reserved []keys.Digest) {
	for _, digest := range reserved {
		r.importing.Delete(digest)
	}
}

// others returns the other APIKeys that have a hash, whatever they have it as.
func (r *APIKeyReconciler) others(ctx context.Context, p *pass, hash string, options ...client.ListOption) ([]v1alpha1.APIKey, error) {
	list := &v1alpha1.APIKeyList{}
	options = append(options, client.MatchingFields{indexDigest: hash}, client.UnsafeDisableDeepCopy)
	if err := r.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list APIKeys with the same hash: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(list.Items), func(other v1alpha1.APIKey) bool { return other.UID == p.key.UID }), nil
}

// refuse notes that a hash is another APIKey's. The status names that one only to those
// who share its namespace: others need not learn that it exists. The audit trail is the
// platform's, and names it in any case.
func (r *APIKeyReconciler) refuse(p *pass, plan *importPlan, hash string, holder *v1alpha1.APIKey) {
	id := hash[:keyIDLength]
	who := "another APIKey"
	if holder.Namespace == p.key.Namespace {
		who = fmt.Sprintf("APIKey %q", holder.Name)
	}
	plan.refused = append(plan.refused, fmt.Sprintf("%s is a key of %s", id, who))
	if !p.refusedImport(id) {
		name := client.ObjectKeyFromObject(holder)
		p.tell(func(ctx context.Context) {
			r.record(ctx, p, audit.Event{
				Action: audit.Refused, KeyID: id, Reason: v1alpha1.ReasonImportRefused, Message: fmt.Sprintf("the key is that of APIKey %s", name),
			})
		})
	}
}

// refusedImport reports whether the status says already that this key is refused.
func (p *pass) refusedImport(id string) bool {
	condition := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionImported)
	return condition != nil && condition.Reason == v1alpha1.ReasonImportRefused && strings.Contains(condition.Message, id)
}

// writeImports writes what the plan changes, and nothing else: what the rest of the
// status is to say nobody has found out yet.
func (r *APIKeyReconciler) writeImports(ctx context.Context, p *pass, plan *importPlan) error {
	before := p.observed.Status
	slices.Sort(plan.imports)
	p.key.Status.Versions, p.key.Status.Imports = plan.versions, plan.imports
	if equality.Semantic.DeepEqual(before.Versions, plan.versions) && equality.Semantic.DeepEqual(before.Imports, plan.imports) {
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

// judgeImports finds out how it stands with spec.import.
func (r *APIKeyReconciler) judgeImports(ctx context.Context, p *pass, plan *importPlan, added bool) error {
	condition := meta.FindStatusCondition(p.observed.Status.Conditions, v1alpha1.ConditionImported)
	switch {
	case len(p.key.Spec.Import) == 0:
		p.imports = finding{ok: true}
	case len(plan.refused) > 0:
		p.imports = stuck(v1alpha1.ReasonImportRefused, strings.Join(plan.refused, "; ")+
			": one key belongs to one APIKey, so take it out of spec.import here or there; it is taken up when nobody else has it")
		if message := p.imports.message; condition == nil || condition.Message != message {
			p.tell(func(context.Context) { r.Events.importRefused(p.key, message) })
		}
	case len(plan.postponed) > 0:
		p.imports = waiting(v1alpha1.ReasonImporting,
			fmt.Sprintf("key %s waits until earlier keys of this APIKey are gone", strings.Join(plan.postponed, ", ")))
	case !added && condition != nil && condition.Reason == v1alpha1.ReasonImported:
		p.imports = imported(p.key)
	default:
		return r.awaitImports(ctx, p)
	}
	r.Imports.Done(p.identity())
	return nil
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

// imported says how many keys of spec.import work, and how many have ended.
func imported(key *v1alpha1.APIKey) finding {
	working := 0
	for i := range key.Status.Versions {
		if v := &key.Status.Versions[i]; v.State.Accepted() && slices.Contains(key.Status.Imports, v.SHA256) {
			working++
		}
	}
	message := fmt.Sprintf("%d of %d keys of spec.import work", working, len(key.Status.Imports))
	if working < len(key.Status.Imports) {
		message += "; the others have retired"
	}
	return good(v1alpha1.ReasonImported, message)
}

// judgeImported sets the condition of spec.import.
func judgeImported(p *pass) {
	switch {
	case p.imports == finding{ok: true}:
		meta.RemoveStatusCondition(&p.key.Status.Conditions, v1alpha1.ConditionImported)
	case p.imports.reason != "":
		setCondition(p, v1alpha1.ConditionImported, p.imports)
	}
}
