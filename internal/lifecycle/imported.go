// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
	"github.com/hexcovery/apikey-operator/internal/keys"
)

// judge finds out how it stands with spec.importedKeys.
func (i *importing) judge() {
	switch {
	case len(i.Key.Spec.ImportedKeys) == 0:
		return
	case i.Organization.EffectiveImports() == v1alpha1.ImportForbidden:
		i.imports = found(v1alpha1.ReasonImportForbidden,
			"Organization %.100q does not permit imports. Ask a platform admin to set its spec.imports, or take the keys out of spec.importedKeys.", i.Organization.Name)
	case len(i.declined) > 0 || i.malformed:
		i.imports = finding{v1alpha1.ReasonImportRefused, i.refused()}
	case i.Unwritable != nil && len(i.wanted) > 0:
		i.imports = i.unwritable()
	case len(i.postponed) > 0:
		i.imports = found(v1alpha1.ReasonImporting, "Not importing %s yet: earlier keys of this APIKey are still being revoked.", strings.Join(i.postponed, ", "))
	case i.tooOld():
		i.imports = finding{v1alpha1.ReasonImportExpired,
			"This APIKey is older than the Organization's spec.maxKeyAge, so no imported key is accepted. Move clients to the key in the Secret, or import into a new APIKey."}
	default:
		i.imports = i.working()
	}
	i.acknowledge()
}

// acknowledge activates imported keys that all auth servers have loaded.
func (i *importing) acknowledge() {
	var ids []string
	for n := range i.Key.Status.Versions {
		v := versionOf(&i.next, i.Key.Status.Versions[n].ID)
		if v != nil && v.Imported() && v.State == v1alpha1.VersionPending {
			ids = append(ids, v.ID)
		}
	}
	if len(ids) == 0 || !i.stored() {
		return
	}
	ack, known := i.await(Register, fmt.Sprintf("imported %s, generation %d", strings.Join(ids, " "), i.Key.Generation))
	if !known || !ack.Complete {
		if i.imports.reason == v1alpha1.ReasonImporting && ack.Slow {
			i.imports.message = waitingToLoad(ack)
		}
		return
	}
	for _, id := range ids {
		v := versionOf(&i.next, id)
		v.State, v.ActivationTime = v1alpha1.VersionActive, ptr.To(metav1.NewTime(i.Now))
	}
	if i.imports.reason == v1alpha1.ReasonImporting {
		i.imports = i.working()
	}
}

// working says how many keys of spec.importedKeys work, and how many have ended.
func (i *importing) working() finding {
	working := 0
	for n := range i.next.Versions {
		v := &i.next.Versions[n]
		if !v.State.Accepted() || !contains(i.registered, v.SHA256) {
			continue
		}
		if v.State == v1alpha1.VersionPending {
			return finding{v1alpha1.ReasonImporting, "Waiting for auth servers to load the keys."}
		}
		working++
	}
	message := fmt.Sprintf("%d of %d keys of spec.importedKeys work.", working, len(i.registered))
	if working < len(i.registered) {
		message += " The others have retired."
	}
	return finding{v1alpha1.ReasonImported, message}
}

// refused names as many of the hashes that were refused as people read. It names nobody who
// has them: others need not learn that they exist, and what becomes of them must be no
// change, and so no write, for everybody who lists the hash.
func (i *importing) refused() string {
	const advice = " A key belongs to one APIKey. Take it out of spec.importedKeys; put back, it is considered anew."
	var parts []string
	for _, hash := range i.declined {
		parts = append(parts, i.why(hash))
	}
	if i.malformed {
		parts = append(parts, "An entry is no SHA-256.")
	}
	message := parts[0]
	for n, part := range parts[1:] {
		if len(message)+len(part) > maxMessage-len(advice)-len(" 9 more.") {
			message += fmt.Sprintf(" %d more.", len(parts)-1-n)
			break
		}
		message += " " + part
	}
	return message + advice
}

// why says what a hash is that was declined.
func (i *importing) why(hash string) string {
	id := keys.KeyIDOf(hash)
	if v := versionOf(&i.next, id); v != nil && v.SHA256 != hash {
		return fmt.Sprintf("%s… has the key ID of another key of this APIKey.", hash[:16])
	}
	if rivals := i.Rivals[hash]; len(rivals) > 0 && !slices.ContainsFunc(rivals, func(r Rival) bool { return r.Same }) {
		return id + " has the key ID of a key of another APIKey."
	}
	return id + " is or was a key of another APIKey."
}

// tooOld reports whether imported keys are older than the Organization permits, and has the
// next look come when they will be.
func (i *importing) tooOld() bool {
	if i.Organization.Spec.MaxKeyAge == nil {
		return false
	}
	left := i.Key.CreationTimestamp.Add(i.Organization.Spec.MaxKeyAge.Duration).Sub(i.Now)
	i.again(left)
	return left <= 0
}
