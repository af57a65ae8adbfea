// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/hexcovery/apikey-operator/api/v1alpha1"
)

// ActorKind is what kind of actor wanted something.
type ActorKind string

const (
	// ActorUser: a user of the Kubernetes API, as its admission has stamped the object.
	ActorUser ActorKind = "user"
	// ActorDeletion: whoever deleted the object. A DELETE leaves no stamp: who sent
	// it is only in the API server's audit log.
	ActorDeletion ActorKind = "deletion"
	// ActorManager: the manager itself, for a cause that is not anybody's request.
	ActorManager ActorKind = "manager"
	// ActorAuthServer: an auth server itself.
	ActorAuthServer ActorKind = "authserver"
	// ActorFile: whoever changed a file.
	ActorFile ActorKind = "file"
	// ActorUnknown: nobody knows, for the object bears no stamp.
	ActorUnknown ActorKind = "unknown"
)

// Causes of what the manager does by itself.
const (
	// CauseSchedule: the key came due for its age.
	CauseSchedule = "schedule"
	// CauseExpiry: the key's time is over.
	CauseExpiry = "expiry"
	// CauseDrift: somebody touched the Secret.
	CauseDrift = "drift"
	// CauseUsage: nobody uses a key that was replaced any more.
	CauseUsage = "usage"
	// CauseOverlap: the longest time is over in which a key that was replaced works.
	CauseOverlap = "overlap"
	// CausePermission: the organization permits it, or no longer does.
	CausePermission = "permission"
	// CauseDuplicate: another APIKey has the same hash.
	CauseDuplicate = "duplicate"
	// CauseRecovery: the key that was registered is lost, or comes from a backup, so another
	// is made.
	CauseRecovery = "recovery"
)

// Actor is who wanted what happened.
type Actor struct {
	Kind ActorKind `json:"kind"`
	// Name is a user's name, or that of a file or of an auth server.
	Name string `json:"name,omitempty"`
	// UID is that of a user, where the API server knows one.
	UID string `json:"uid,omitempty"`
	// Of is the object that bears the stamp, as Kind/name, where it is not the event's own.
	Of string `json:"of,omitempty"`
	// Cause is why the manager did something by itself.
	Cause string `json:"cause,omitempty"`
	// Time is when the API server took the deletion.
	Time *time.Time `json:"time,omitempty"`
	// LastChangedBy is the user who last changed the object, where that need not be the
	// one who wanted this.
	LastChangedBy string `json:"lastChangedBy,omitempty"`
}

// User is who last changed the spec of object, as the API server's admission has
// stamped it; unknown if there is no stamp.
func User(object metav1.Object) Actor {
	annotations := object.GetAnnotations()
	name := annotations[v1alpha1.AnnotationRequestedBy]
	if name == "" {
		return Actor{Kind: ActorUnknown}
	}
	return Actor{Kind: ActorUser, Name: name, UID: annotations[v1alpha1.AnnotationRequestedByUID]}
}

// UserOf is who last changed another object than the event's own: one that is cluster-wide.
func UserOf(kind string, object metav1.Object) Actor {
	actor := User(object)
	actor.Of = kind + "/" + object.GetName()
	return actor
}

// Deletion is whoever deleted object, of whom no more is known than when, and who last
// changed it.
func Deletion(object metav1.Object) Actor {
	actor := Actor{Kind: ActorDeletion, LastChangedBy: User(object).Name}
	if deleted := object.GetDeletionTimestamp(); deleted != nil {
		actor.Time = ptr.To(deleted.UTC())
	}
	return actor
}

// Manager is the manager itself, for one of the causes.
func Manager(cause string) Actor { return Actor{Kind: ActorManager, Cause: cause} }

// AuthServer is an auth server itself, by the name of its Lease.
func AuthServer(name string) Actor { return Actor{Kind: ActorAuthServer, Name: name} }

// ByFile is whoever changed a file.
func ByFile(name string) Actor { return Actor{Kind: ActorFile, Name: name} }
