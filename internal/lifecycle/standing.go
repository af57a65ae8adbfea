// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import "github.com/hexcovery/apikey-operator/api/v1alpha1"

// progress is what kstatus reads beside Ready.
type progress int

const (
	// settled: neither Reconciling nor Stalled.
	settled progress = iota
	// reconciling: it is going to happen without a person.
	reconciling
	// graced: reconciling for a minute, and then stalled.
	graced
	// stalled: a person has to change something that nobody asked for.
	stalled
)

// standing is what a reason of Ready means for the other conditions. docs/conditions.md has
// the same table.
type standing struct {
	ready bool
	// serving is the reason of Serving where no key works; "" for the same reason. Where a
	// key works it is Active or Expiring.
	serving  string
	progress progress
	// aside: it is told in another condition, and has no part in Ready.
	aside bool
}

var standings = map[string]standing{
	v1alpha1.ReasonReady:                 {ready: true},
	v1alpha1.ReasonSuspended:             {ready: true},
	v1alpha1.ReasonExpired:               {ready: true},
	v1alpha1.ReasonOrganizationSuspended: {ready: true, serving: v1alpha1.ReasonSuspended},

	v1alpha1.ReasonOrganizationNotFound:  {serving: v1alpha1.ReasonRefused, progress: graced},
	v1alpha1.ReasonNamespaceNotPermitted: {serving: v1alpha1.ReasonRefused, progress: graced},
	v1alpha1.ReasonScopeNotPermitted:     {serving: v1alpha1.ReasonRefused, progress: graced},
	v1alpha1.ReasonOrganizationChanged:   {serving: v1alpha1.ReasonRefused, progress: stalled},
	v1alpha1.ReasonInvalidOrganization:   {serving: v1alpha1.ReasonRefused, progress: stalled},
	v1alpha1.ReasonInvalidSelector:       {serving: v1alpha1.ReasonRefused, progress: stalled},
	v1alpha1.ReasonInvalidObject:         {serving: v1alpha1.ReasonRefused, progress: stalled},
	v1alpha1.ReasonBlocked:               {serving: v1alpha1.ReasonRefused, progress: stalled},

	v1alpha1.ReasonNotRegistered:         {serving: v1alpha1.ReasonPending, progress: reconciling},
	v1alpha1.ReasonNotPublished:          {serving: v1alpha1.ReasonPending, progress: reconciling},
	v1alpha1.ReasonWaitingForAuthServers: {serving: v1alpha1.ReasonPending, progress: reconciling},
	v1alpha1.ReasonNoAuthServer:          {progress: reconciling},
	v1alpha1.ReasonResuming:              {progress: reconciling},
	v1alpha1.ReasonApplying:              {progress: reconciling},
	v1alpha1.ReasonRevoking:              {progress: reconciling},
	v1alpha1.ReasonRevoked:               {progress: reconciling},
	v1alpha1.ReasonDriftBackOff:          {progress: reconciling},
	v1alpha1.ReasonImporting:             {progress: reconciling},

	v1alpha1.ReasonSecretConflict:       {progress: stalled},
	v1alpha1.ReasonSecretRefused:        {progress: stalled},
	v1alpha1.ReasonWriteRefused:         {progress: stalled},
	v1alpha1.ReasonInvalidTemplate:      {progress: stalled},
	v1alpha1.ReasonActiveKeyUnavailable: {progress: stalled},
	v1alpha1.ReasonInvalidWindow:        {progress: stalled},
	v1alpha1.ReasonImportRefused:        {progress: stalled},
	v1alpha1.ReasonImportForbidden:      {progress: stalled},
	v1alpha1.ReasonImportExpired:        {progress: stalled},

	v1alpha1.ReasonRotating:    {aside: true},
	v1alpha1.ReasonRetiring:    {aside: true},
	v1alpha1.ReasonTooManyKeys: {aside: true},
}

// good are the reasons for which a condition is True.
var good = map[string]bool{
	v1alpha1.ReasonPermitted: true, v1alpha1.ReasonRegistered: true, v1alpha1.ReasonPublished: true, v1alpha1.ReasonImported: true, v1alpha1.ReasonUpToDate: true,
}
