// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rotation says when a new key replaces the current one, and for how long the replaced key
// still works.
type Rotation struct {
	// interval is the age at which the key is replaced, counted from when it was written into
	// the Secret: from 10m to 8784h (366 days), such as 720h. Up to a tenth is taken off,
	// differently for each APIKey, so that not all rotate at the same time.
	// Default: the key is replaced for its age only when the Organization's maxKeyAge requires
	// it.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('10m') && duration(self) <= duration('8784h')",message="spec.rotation.interval is not between 10m and 8784h (366 days): write it as 720h"
	Interval *metav1.Duration `json:"interval,omitempty"`

	// window is when the key may be replaced for its age. A key that is due outside of the
	// window waits until it opens, unless the Organization's maxKeyAge comes before that.
	// rotateAfter does not wait for it.
	// Default: always.
	// +optional
	Window *RotationWindow `json:"window,omitempty"`

	// rotateAfter replaces the current key at this time, unless that was registered after it.
	// Set the present time to replace the key now, or a later time. The new key was registered
	// after it, so the same manifest can be applied again and again. Write it as
	// 2027-01-31T00:00:00Z: RFC 3339, T and Z in upper case, a year from 1970 to 9899. It is
	// exact to the second.
	// Default: none.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^(19[7-9]|[2-8][0-9]{2}|9[0-8][0-9])[0-9]-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('^[0-9]{4}-02-29T') || int(self.substring(0, 4)) % 4 == 0 && (int(self.substring(0, 4)) % 100 != 0 || int(self.substring(0, 4)) % 400 == 0)",message="spec.rotation.rotateAfter is a 29th of February in a year that has none: use the 28th, or the 1st of March"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Schemaless
	RotateAfter *metav1.Time `json:"rotateAfter,omitempty"`

	// overlap says for how long the replaced key still works.
	// +optional
	Overlap Overlap `json:"overlap,omitzero"`

	// restart says which workloads are restarted when the key in the Secret has changed. What
	// takes the Secret by env, envFrom or subPath has the old key until it is restarted. A
	// volume needs no restart: the kubelet updates its files.
	// Default: none.
	// +optional
	Restart Restart `json:"restart,omitzero"`
}

// RotationWindow is a time that comes again and again, such as 09:00 to 17:00 from Monday to
// Thursday.
type RotationWindow struct {
	// schedule is when the window opens, in the five fields of a CronJob's schedule: minute,
	// hour, day of month, month and day of week. "0 9 * * MON-THU" opens it at 09:00 from Monday
	// to Thursday. A time that is skipped when daylight saving time begins does not open it.
	// +required
	// +kubebuilder:validation:MinLength=9
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^([*?]|[0-5]?[0-9](-[0-5]?[0-9])?)(/[1-9][0-9]?)?(,([*?]|[0-5]?[0-9](-[0-5]?[0-9])?)(/[1-9][0-9]?)?)* ([*?]|(2[0-3]|[01]?[0-9])(-(2[0-3]|[01]?[0-9]))?)(/[1-9][0-9]?)?(,([*?]|(2[0-3]|[01]?[0-9])(-(2[0-3]|[01]?[0-9]))?)(/[1-9][0-9]?)?)* ([*?]|(3[01]|[12][0-9]|0?[1-9])(-(3[01]|[12][0-9]|0?[1-9]))?)(/[1-9][0-9]?)?(,([*?]|(3[01]|[12][0-9]|0?[1-9])(-(3[01]|[12][0-9]|0?[1-9]))?)(/[1-9][0-9]?)?)* ([*?]|(1[0-2]|0?[1-9]|[A-Za-z]{3})(-(1[0-2]|0?[1-9]|[A-Za-z]{3}))?)(/[1-9][0-9]?)?(,([*?]|(1[0-2]|0?[1-9]|[A-Za-z]{3})(-(1[0-2]|0?[1-9]|[A-Za-z]{3}))?)(/[1-9][0-9]?)?)* ([*?]|([0-6]|[A-Za-z]{3})(-([0-6]|[A-Za-z]{3}))?)(/[1-9][0-9]?)?(,([*?]|([0-6]|[A-Za-z]{3})(-([0-6]|[A-Za-z]{3}))?)(/[1-9][0-9]?)?)*$')",message="spec.rotation.window.schedule is not a cron schedule: write five fields, minute, hour, day of month, month and day of week, as 0 9 * * MON-THU"
	Schedule string `json:"schedule,omitempty"`
	// duration is how long the window stays open: from 1m to 744h (31 days), such as 8h.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('1m') && duration(self) <= duration('744h')",message="spec.rotation.window.duration is not between 1m and 744h (31 days): write it as 8h"
	Duration metav1.Duration `json:"duration"`
	// timeZone is the time zone of schedule: a name of the IANA time zone database, such as
	// Europe/Berlin.
	// Default: UTC.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_+/-]*$`
	TimeZone string `json:"timeZone,omitempty"`
}

// Overlap is the time in which the replaced key and its successor both work. The replaced key
// is revoked when its successor has been used and it has itself been unused for idle: never
// before min, always by max.
// +kubebuilder:validation:XValidation:rule="has(self.min) && !self.min.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') || has(self.max) && !self.max.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') || duration(has(self.min) ? self.min : '15m') <= duration(has(self.max) ? self.max : '168h')",message="spec.rotation.overlap.min (default 15m) is longer than max (default 168h): lower min, or raise max"
type Overlap struct {
	// min is how long the replaced key works in any case, counted from its replacement: from 0s
	// to 8784h (366 days), at most max. Let it be longer than all clients need to get the new
	// key: the kubelet may take more than a minute to update a volume.
	// Default: 15m.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('0s') && duration(self) <= duration('8784h')",message="spec.rotation.overlap.min is not between 0s and 8784h (366 days): write it as 15m"
	Min *metav1.Duration `json:"min,omitempty"`
	// idle is for how long the replaced key has to be unused before it is revoked: from 0s to
	// 8784h (366 days). Let it be longer than the longest pause between two uses: a weekly job
	// needs more than 168h, and a longer max.
	// Default: 25h, which is enough for a daily job.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('0s') && duration(self) <= duration('8784h')",message="spec.rotation.overlap.idle is not between 0s and 8784h (366 days): write it as 25h"
	Idle *metav1.Duration `json:"idle,omitempty"`
	// max is how long after its replacement the replaced key is revoked, even if it is still
	// used: from 0s to 8784h (366 days), at least min.
	// Default: 168h (7 days).
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^(0|([0-9]{1,5}([.][0-9]{1,9})?h|[0-9]{1,7}([.][0-9]{1,9})?m|[0-9]{1,9}([.][0-9]{1,9})?(s|ms|us|µs|ns))+)$') && duration(self) >= duration('0s') && duration(self) <= duration('8784h')",message="spec.rotation.overlap.max is not between 0s and 8784h (366 days): write it as 168h"
	Max *metav1.Duration `json:"max,omitempty"`
}

// RestartPolicy says which workloads are restarted when the key has changed.
// +kubebuilder:validation:Enum=None;Detected;Named
type RestartPolicy string

const (
	// RestartNone restarts nothing.
	RestartNone RestartPolicy = "None"
	// RestartDetected restarts the workloads of the namespace that take the Secret by env,
	// envFrom or subPath: they never see it change by themselves.
	RestartDetected RestartPolicy = "Detected"
	// RestartNamed restarts the workloads that are named.
	RestartNamed RestartPolicy = "Named"
)

// Restart says which workloads are restarted when the key in the Secret has changed, once for
// each change. The replaced key is not revoked before their rollouts are finished, or
// overlap.max has passed. The manager has the right to restart them only in namespaces where
// the ClusterRole apikey-restarter is bound to it.
// +kubebuilder:validation:XValidation:rule="(has(self.policy) && self.policy == 'Named') == has(self.workloads)",message="spec.rotation.restart.workloads goes with policy Named, and only with that: set both, or neither"
type Restart struct {
	// policy is None: restart nothing; Detected: restart the Deployments, StatefulSets and
	// DaemonSets of the namespace that take the Secret by env, envFrom or subPath; or Named:
	// restart what workloads names.
	// Default: None.
	// +optional
	Policy RestartPolicy `json:"policy,omitempty"`
	// workloads are what policy Named restarts, in the APIKey's namespace: from 1 to 32, and
	// none with another policy.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	Workloads []WorkloadReference `json:"workloads,omitempty"`
}

// WorkloadReference names a workload in the APIKey's namespace.
type WorkloadReference struct {
	// kind is Deployment, StatefulSet or DaemonSet.
	// +required
	// +kubebuilder:validation:Enum=Deployment;StatefulSet;DaemonSet
	Kind string `json:"kind,omitempty"`
	// name is the metadata.name of the workload.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Subdomain().validate(self).hasValue()",message="spec.rotation.restart.workloads has a name that no workload can have: use lower case letters, digits, '-' and '.', at most 253 characters"
	Name string `json:"name,omitempty"`
}

// ImportedKey is a key that was issued elsewhere, known by its SHA-256.
type ImportedKey struct {
	// sha256 is the SHA-256 of the whole key as clients send it, without a line end, in 64 lower
	// case hexadecimal digits: printf %s "$KEY" | sha256sum prints it. The key is 16 to 256
	// visible ASCII characters without a comma. Import only keys that a machine has drawn at
	// random, with 128 bits or more: what can be guessed can be found from its SHA-256.
	// +required
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{64}$`
	SHA256 string `json:"sha256,omitempty"`
	// description tells people which key it is: one line of plain text, at most 256 characters.
	// It has no effect.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{C}\\p{Zl}\\p{Zp}]*$')",message="spec.importedKeys[].description has a line break, or a control or formatting character: write one line of plain text"
	Description string `json:"description,omitempty"`
}
