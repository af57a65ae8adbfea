// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Condition types. They are for people and tools: no program of the operator decides by one.
// docs/conditions.md has the reasons of Ready, and what each means for the others.
const (
	// ConditionReady says whether the spec is realized: also one that wants the key to be
	// suspended or expired.
	ConditionReady = "Ready"
	// ConditionServing says whether the key works now. Its reason is one word for people. It
	// is Unknown while some auth server may still accept a key that is to be refused.
	ConditionServing = "Serving"
	// ConditionPermitted says whether the Organization permits the namespace and the scopes.
	ConditionPermitted = "Permitted"
	// ConditionRegistered says whether all auth servers have loaded the key's hash; of a key
	// that is refused, whether all have dropped it.
	ConditionRegistered = "Registered"
	// ConditionPublished says whether the Secret holds the key.
	ConditionPublished = "Published"
	// ConditionImported says whether every key of spec.importedKeys is registered, and is
	// accepted until it retires. It is absent without spec.importedKeys.
	ConditionImported = "Imported"
	// ConditionExpiringSoon is True while the key is going to stop working within 7 days,
	// and absent otherwise. Its reason says within how long.
	ConditionExpiringSoon = "ExpiringSoon"
	// ConditionRotated says whether all keys that were replaced are revoked. It is there
	// where there is something to say.
	ConditionRotated = "Rotated"
	// ConditionReconciling is True while the manager is at work or waits for what is going
	// to happen (kstatus).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True while a person has to change something that nobody asked for
	// (kstatus).
	ConditionStalled = "Stalled"
)

// Reasons of ConditionServing alone. Others are reasons of ConditionReady, too.
const (
	// ReasonActive: the key works.
	ReasonActive = "Active"
	// ReasonExpiring: the key works, and stops within 7 days.
	ReasonExpiring = "Expiring"
	// ReasonPending: there is no key in the Secret yet.
	ReasonPending = "Pending"
	// ReasonRefused: the key is refused because it is not permitted.
	ReasonRefused = "Refused"
)

// Reasons of conditions, and of the events of the same name.
const (
	// ReasonReady surfaces when the Secret holds a working key.
	ReasonReady = "Ready"
	// ReasonSuspended surfaces when spec.suspend stops the key or organization.
	ReasonSuspended = "Suspended"
	// ReasonExpired surfaces when spec.expirationTime, or what spec.ttl gives, has passed.
	ReasonExpired = "Expired"
	// ReasonWithin7Days surfaces in ExpiringSoon when the key has 7 days or less.
	ReasonWithin7Days = "Within7Days"
	// ReasonWithin1Day surfaces in ExpiringSoon when the key has a day or less.
	ReasonWithin1Day = "Within1Day"
	// ReasonWithin1Hour surfaces in ExpiringSoon when the key has an hour or less.
	ReasonWithin1Hour = "Within1Hour"

	// ReasonPermitted surfaces when the Organization permits namespace and scopes.
	ReasonPermitted = "Permitted"
	// ReasonOrganizationNotFound surfaces when no Organization has the name that
	// spec.organizationRef gives, or it is being deleted.
	ReasonOrganizationNotFound = "OrganizationNotFound"
	// ReasonOrganizationSuspended surfaces when the Organization is suspended.
	ReasonOrganizationSuspended = "OrganizationSuspended"
	// ReasonBlocked surfaces when the Organization's spec.blocked names the APIKey.
	ReasonBlocked = "Blocked"
	// ReasonOrganizationChanged surfaces when the Organization was made anew with
	// another id than the one the key was minted for.
	ReasonOrganizationChanged = "OrganizationChanged"
	// ReasonNamespaceNotPermitted surfaces when the Organization's namespaces do
	// not include the APIKey's.
	ReasonNamespaceNotPermitted = "NamespaceNotPermitted"
	// ReasonScopeNotPermitted surfaces when spec.scopes has a scope that the
	// Organization does not have.
	ReasonScopeNotPermitted = "ScopeNotPermitted"
	// ReasonInvalidObject surfaces on an APIKey or Organization of which a part cannot be
	// decoded, or which is too large: it is refused, whatever else it says.
	ReasonInvalidObject = "InvalidObject"
	// ReasonDuplicateID surfaces on an Organization whose id an older one has: data is stored
	// under it, so the younger is refused.
	ReasonDuplicateID = "DuplicateID"
	// ReasonInvalidOrganization surfaces on the keys of an Organization that is refused.
	ReasonInvalidOrganization = "InvalidOrganization"
	// ReasonInvalidSelector surfaces on an Organization, and on its keys, when
	// spec.namespaces.selector cannot be read.
	ReasonInvalidSelector = "InvalidSelector"

	// ReasonRegistered surfaces when all live auth servers have loaded the hash.
	ReasonRegistered = "Registered"
	// ReasonNotRegistered surfaces when no key has been minted yet.
	ReasonNotRegistered = "NotRegistered"
	// ReasonWaitingForAuthServers surfaces when some auth server has not loaded the hash
	// yet; the message names it.
	ReasonWaitingForAuthServers = "WaitingForAuthServers"
	// ReasonNoAuthServer surfaces when no auth server is running: nothing could
	// accept the key.
	ReasonNoAuthServer = "NoAuthServer"
	// ReasonRevoking surfaces on an APIKey that is being deleted, or whose key is to be
	// refused for another reason, while some auth server may still accept the key. The
	// message names them.
	ReasonRevoking = "Revoking"
	// ReasonApplying surfaces on an APIKey or Organization that was changed, while some auth
	// server may still apply an earlier generation. The message names them.
	ReasonApplying = "Applying"
	// ReasonRevoked surfaces when no auth server accepts the key.
	ReasonRevoked = "Revoked"
	// ReasonResuming surfaces when a key is to work again, while some auth server has not
	// applied that.
	ReasonResuming = "Resuming"

	// ReasonPublished surfaces when the Secret holds the key.
	ReasonPublished = "Published"
	// ReasonNotPublished surfaces when the key has not been published yet.
	ReasonNotPublished = "NotPublished"
	// ReasonSecretConflict surfaces when there is a Secret of that name that the
	// APIKey does not own, or of another type than Opaque. It is never touched.
	ReasonSecretConflict = "SecretConflict"
	// ReasonDriftBackOff surfaces when the Secret was touched again and again, and the
	// next key is not minted yet; an event says so, too.
	ReasonDriftBackOff = "DriftBackOff"
	// ReasonInvalidTemplate surfaces when spec.secret.data names a variable that
	// does not exist.
	ReasonInvalidTemplate = "InvalidTemplate"
	// ReasonWriteRefused surfaces when the API server refuses what the manager writes of the
	// APIKey itself, as an admission webhook makes it do.
	ReasonWriteRefused = "WriteRefused"
	// ReasonSecretRefused surfaces when the API server refuses the Secret, as a
	// policy, a quota or a namespace that is going away makes it do.
	ReasonSecretRefused = "SecretRefused"

	// ReasonImported surfaces when every key of spec.importedKeys was imported.
	ReasonImported = "Imported"
	// ReasonImporting surfaces while keys of spec.importedKeys are going to be imported.
	ReasonImporting = "Importing"
	// ReasonImportRefused surfaces when a key of spec.importedKeys was another APIKey's when it
	// was listed; all others are imported.
	ReasonImportRefused = "ImportRefused"
	// ReasonImportExpired surfaces when the APIKey is older than the Organization's maxKeyAge,
	// so that no imported key is accepted.
	ReasonImportExpired = "ImportExpired"
	// ReasonImportForbidden surfaces when the Organization permits no imports.
	ReasonImportForbidden = "ImportForbidden"

	// ReasonActiveKeyUnavailable surfaces when spec.activeKeyID names a key that cannot be
	// the current one.
	ReasonActiveKeyUnavailable = "ActiveKeyUnavailable"

	// ReasonUpToDate surfaces when all previous keys are revoked.
	ReasonUpToDate = "UpToDate"
	// ReasonRotating surfaces while auth servers are loading the hash of the next key.
	ReasonRotating = "Rotating"
	// ReasonRetiring surfaces while a key that was replaced still works; the message
	// says why.
	ReasonRetiring = "Retiring"
	// ReasonTooManyKeys surfaces when the key is to be replaced, and too many of its
	// predecessors still work.
	ReasonTooManyKeys = "TooManyKeys"
	// ReasonInvalidWindow surfaces when spec.rotation.window cannot be read.
	ReasonInvalidWindow = "InvalidWindow"
)

// Reasons of audit lines that no condition bears.
const (
	// ReasonFinalizerRemoved: an APIKey went without the manager, whose finalizer
	// somebody took off.
	ReasonFinalizerRemoved = "FinalizerRemoved"
)

// Reasons of events that no condition bears.
const (
	// EventMinted: a new key is in the Secret.
	EventMinted = "Minted"
	// EventSecretDrifted: the Secret was deleted or edited by hand; the key that
	// it held is revoked, and another is minted.
	EventSecretDrifted = "SecretDrifted"
	// EventSecretRepaired: the Secret was edited by hand, but not its api-key; it is put
	// right, and the key stays.
	EventSecretRepaired = "SecretRepaired"
	// EventImportContested: another APIKey lists a key of this one in spec.importedKeys, and was
	// refused.
	EventImportContested = "ImportContested"
	// EventRotated: another key is in the Secret in place of one that works.
	EventRotated = "Rotated"
	// EventRotationUndone: a key that was replaced is the current one again.
	EventRotationUndone = "RotationUndone"
	// EventScopesWidened: the key reaches more scopes than before.
	EventScopesWidened = "ScopesWidened"
	// EventRetiredInUse: a key that was replaced is revoked because overlap.max has
	// passed, and may still be in use.
	EventRetiredInUse = "RetiredInUse"
	// EventDuplicateDigest: the status had the hash of an older APIKey's key, such
	// as after a restore; it is dropped, and another key is minted.
	EventDuplicateDigest = "DuplicateDigest"
	// EventRestoredMintedAnew: the APIKey's Secret or its status comes from a backup; the
	// keys in them are not accepted, and another is minted.
	EventRestoredMintedAnew = "RestoredMintedAnew"
	// EventExpiringSoon: the key is going to stop working within 7 days, a day, or an
	// hour.
	EventExpiringSoon = "ExpiringSoon"
	// EventConsumersRestarted: workloads that take the Secret at their start were
	// restarted after a rotation.
	EventConsumersRestarted = "ConsumersRestarted"
	// EventRestartRefused: the API server does not let the manager restart a workload;
	// the message says what to apply.
	EventRestartRefused = "RestartRefused"
	// EventNotWritten: the API server has refused for a minute to store what the manager
	// writes of the object.
	EventNotWritten = "NotWritten"
	// EventWorkloadNotFound: spec.rotation.restart names a workload that does not
	// exist.
	EventWorkloadNotFound = "WorkloadNotFound"
)

// Names that the operator puts on objects.
const (
	// Finalizer keeps an APIKey until no live auth server accepts its key.
	Finalizer = "auth.hexcovery.io/revoke"
	// LabelAPIKey is on each Secret that holds a key; its value is the APIKey's
	// name.
	LabelAPIKey = "auth.hexcovery.io/apikey"
	// AnnotationKeyID on such a Secret is the key ID of what it holds.
	AnnotationKeyID = "auth.hexcovery.io/key-id"
	// AnnotationDataDigest on such a Secret is a digest of its data as it was
	// written, by which an edit by hand is noticed.
	AnnotationDataDigest = "auth.hexcovery.io/data-digest"
	// AnnotationTemplateDigest on such a Secret is a digest of the spec.secret that
	// it was made from.
	AnnotationTemplateDigest = "auth.hexcovery.io/template-digest"
	// AnnotationRequestedBy on an APIKey or Organization is the name of the user who last
	// changed its spec. Admission policies set it, and keep everybody from setting it.
	AnnotationRequestedBy = "auth.hexcovery.io/requested-by"
	// AnnotationRequestedByUID is the UID of that user, where there is one.
	AnnotationRequestedByUID = "auth.hexcovery.io/requested-by-uid"
	// AnnotationRestartPrefix and the APIKey's name are the annotation that a pod
	// template gets to have its pods restarted; its value is the key ID that they are
	// to take.
	AnnotationRestartPrefix = "restart.auth.hexcovery.io/"
	// AnnotationAbandonedKeyID on such a Secret is the ID of a key that was never in it:
	// the manager that was to put it there has ended. The mark keeps that write from
	// coming late.
	AnnotationAbandonedKeyID = "auth.hexcovery.io/abandoned-key-id"
	// SecretKeyAPIKey is the entry of the Secret that is the key itself.
	SecretKeyAPIKey = "api-key"
	// PreviousSuffix and the name of an APIKey's Secret name another one, which holds the key
	// that was replaced last, as long as that works. Nothing should mount it.
	PreviousSuffix = "-previous"
)
