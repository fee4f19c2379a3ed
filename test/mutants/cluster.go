package main

import "slices"

// cluster are the mistakes of several XMPP servers that serve one domain.
func cluster() []mutant {
	return slices.Concat(servers(), promised(), linked(), moved(), shared(), streams())
}

// servers are mistakes about who is there, and what is under way between servers.
func servers() []mutant {
	const (
		chat = "xmppd/im"
		dir  = "xmppd/cluster/directory"
		node = "xmppd/cluster"
		once = "xmppd/modules/offline"
		all  = "xmppd"
	)
	return []mutant{
		{"new owners in the directory wait to be told", dir, "TestWhoLearnsLateIsTold"},
		{"an owner that was away is not told", dir, "TestOwnerThatReturnsIsTold"},
		{"what was known of a server is forgotten when it was cut off from this one alone", dir, "TestPartedViews"},
		{"a new first owner says nothing", dir, "TestHeirTellsOfSessions"},
		{"a resource bound twice stays when its first owner dies", dir, "TestHeirSettlesConflicts"},
		{"sessions of a server that was cut off stay in the directory", dir, "TestNoGhosts"},
		{"a resource that is not remembered is taken for gone", dir, "TestNewResource"},
		{"who takes itself for an owner is believed by who knows the first one", dir, "TestOnlyFirstOwnerIsBelieved"},
		{"a second owner that is the first one now is not told again", dir, "TestNewFirstOwnerIsTold"},
		{"who was cut off is not told that an account is nowhere else", dir, "TestWhoIsAloneIsTold"},
		{"what an account's sessions know of others is never doubted", dir, "TestViewIsDoubted"},
		{"who was told as an owner hears no more of it when it is none", dir, "TestWhoWasAnOwnerIsTold"},
		{"what servers know of sessions stays wrong when links were cut in some order", dir, "TestApart"},
		{"members that are gone stay", node, "TestNoticesMembersThatStay"},
		{"who stops waits for who stands still", node, "TestNoticesWaiting"},
		{"what gossip tells of a server's last process is believed of this one", node, "TestCurrent"},
		{"a server that has left once is not looked for when its next process is gone", node, "TestByeOfLastProcess"},
		{"a server looks for itself, or a name stands for one server", node, "TestOneNameForAll"},
		{"who has not proven who it is takes any number of connections", node, "TestNoticesUncounted"},
		{"gossip of strangers may be of any length", node, "TestNoticesEndless"},
		{"a stale way is taken again", all, "TestMovedNoticesFaults"},
		{"what a server did not get is forgotten", all, "TestLedgerNoticesFaults"},
		{"a roster push goes out as another server has made it", all, "TestRosterPushesNoticeCrossing"},
		{"a roster version claims what was not pushed", all, "TestRosterVersionNoticesClaims"},
		{"a block list's push says what was done, or is told nobody", all, "TestBlockPushesNoticeFaults"},
		{"a resource bound at another server keeps its session here", all, "TestConflictNoticesFaults"},
		{"only sessions here count for the limit of an account", all, "TestSessionsPerAccountNoticesFaults"},
		{"a claim of a process that is gone holds as long as its server", all, "TestClaimOfLastProcess"},
		{"servers that do not answer are not named", all, "TestAskedNoticesFaults"},
		{"nobody is told that a server's disk is full", all, "TestFullServerNoticesFaults"},
		{"metrics count copies that can't take changes", all, "TestFullAndAbsentNoticesFaults"},
		{"who only says that it is a server of the cluster keeps it from being whole", all, "TestStrangerNoticesFaults"},
		{"a server is well though its links tell that the records have no majority", all, "TestAloneNoticesFaults"},
		{"nobody is told that the files of a server's records are gone", all, "TestGoneFilesNoticeFaults"},
		{"who was cut off hears of no change, or keeps sessions of removed accounts", all, "TestMeetingNoticesFaults"},
		{"what was forgotten of accounts of the cluster is not read again until a message needs it", all, "TestReadAheadNoticesFaults"},
		{"what could not be read ahead is given up, or thousands of users' is read", all, "TestReadAheadAgain"},
		{"who is cut off stays in sight, or is not greeted when back", all, "TestPartitionNoticesFaults"},
		{"a stanza of another server overtakes what waits for its account", "xmppd/cluster/exchange", "TestDirect"},
		{"what other servers send waits without bounds", "xmppd/cluster/exchange", "TestHoldsAreBounded"},
		{"an old answer of the directory is used for what comes later", "xmppd/cluster/exchange", "TestAnswersAreNotForWhatComesLater"},
		{"what comes overtakes what was kept while a server was cut off", "xmppd/cluster/exchange", "TestKeptComesFirst"},
		{"what comes overtakes what a server did not get", "xmppd/cluster/exchange", "TestReturnedComesFirst"},
		{"presence that other servers tell waits without bounds", "xmppd/cluster/exchange", "TestCastsAreBounded"},
		{"other servers may tell any amount of presence and rosters", "xmppd/cluster/exchange", "TestCastsOverrun"},
		{"who stands behind others whose records can't be had hears nothing", "xmppd/cluster/exchange", "TestLate"},
		{"a client with too old a version of its roster does not get all of it", all, "TestVersionTooOld"},
		{"a server without CPU keeps all that come", "xmppd/cluster/balance", "TestNoCPULeft"},
		{"an error whose receiver is cut off is lost", all, "TestBouncesNoticeFaults"},
		{"others are not told which components are here", all, "TestComponentNoticesFaults"},
		{"directed presence is not shown again to a server that is back", all, "TestDirectedNoticesFaults"},
		{"a session that moves keeps what its old server saw, or who is gone", all, "TestLevelNoticesFaults"},
		{"who logs in while a contact's session moves misses it", all, "TestLoginWhileContactMoves"},
		{"a session that has moved to a server which died is seen at a third one", chat, "TestMovedAndDied"},
		{"where a session has gone is asked nobody", chat, "TestRoam"},
		{"what was directed to a session that moves stays, or its roster is not read later", chat, "TestMovedSees"},
		{"presence that comes by the server which a session has left counts", chat, "TestHandedOn"},
		{"who is off the table and not yet told to have left is missing in the picture of who moves", chat, "TestShownBetween"},
		{"directed presence that two servers have told of in some order stays", chat, "TestDirectedCrosses"},
		{"directed presence is taken back only where the one that was shown it is", chat, "TestDirectedBeforeMove"},
		{"directed presence stays that was taken back just before a move", chat, "TestDirectedTakenLate"},
		{"what a session directs is not asked for when its old server ends it", chat, "TestDirectedTakenApart"},
		{"presence directed to a session that moves is told only where that was", chat, "TestDirectedToMover"},
		{"of a session of which two servers tell in turns what was heard last counts", chat, "TestToldInTurns"},
		{"what a server told of a session before it left counts when it is back", chat, "TestBackWithout"},
		{"who comes back before the server has ended the session it gave away is not seen", chat, "TestBackBeforeLeft"},
		{"sessions of a removed account go on at other servers", all, "TestRemovedTogether"},
		{"sessions of an earlier account of the same name go on", chat, "TestOutlived"},
		{"rosters are pushed to a session that another server is about to have", chat, "TestNoPushesWhileMoving"},
		{"who unsubscribes while a contact's session leaves is not told that it is gone", chat, "TestPartingWhileEnding"},
		{"who unsubscribes while a contact's session ends at another server sees it for ever", chat, "TestPartingAcrossServers"},
		{"who has asked for a contact's presence and was cancelled since is shown it", chat, "TestAskedBeforeParting"},
		{"one contact's unsubscription hides from the others that a server has died", chat, "TestPartedStaysInSight"},
		{"the end of a session is told behind the one that took its resource", chat, "TestEndOfTakenResource"},
		{"what is kept is delivered without a claim", once, "TestClaim"},
		{"a claim of a server that is there is taken over", once, "TestClaim"},
		{"what another server has delivered is kept again", once, "TestClaimLost"},
	}
}

// linked are mistakes of the links between servers.
func linked() []mutant {
	const links = "xmppd/cluster/link"
	return []mutant{
		{"a frozen server takes what its peers have given up", links, "TestFrozenServerTakesNothingOld"},
		{"what a broken link had not written is lost", links, "TestExactlyOnceNoticesForgetting"},
		{"what was handled is not acknowledged", links, "TestNoticesMissingAcknowledgement"},
		{"a server is not asked how far it came", links, "TestNoticesUnaskedPeer"},
		{"how far a server came is forgotten when gossip takes it for dead", links, "TestNoticesForgottenStream"},
		{"another process answers for the one before", links, "TestNoticesAnotherProcess"},
		{"streams of two processes are a pair", links, "TestTwoProcesses"},
		{"a certificate of the cluster speaks for every server", links, "TestNoticesAnyName"},
		{"a server with another time is taken", links, "TestClocks"},
		{"a server that speaks another version is taken", links, "TestVersions"},
		{"a server with the data of another cluster is taken", links, "TestData"},
	}
}

// moved are mistakes with sessions and clients that go to another server.
func moved() []mutant {
	const (
		all   = "xmppd"
		place = "xmppd/cluster/balance"
		conn  = "internal/xmppconn"
	)
	return []mutant{
		{"what could not be removed when it was delivered is delivered again", "xmppd/modules/offline", "TestDeliveredWhileCutOff"},
		{"a page that a session has brought is delivered again", "xmppd/modules/offline", "TestTakenAlong"},
		{"what was not acknowledged stays behind when a session moves", all, "TestHandoverFaults/forget_unacknowledged"},
		{"what comes while a session moves is lost", all, "TestHandoverFaults/lose_what_comes"},
		{"two servers keep a session that has moved", all, "TestHandoverFaults/both_keep_it"},
		{"a session whose move was cut off is nowhere", all, "TestHandoverCutOff/kind_8,_never_back:_true"},
		{"a client that was sent here is sent on", place, "TestNobodyIsSentTwice"},
		{"clients are sent to a server that takes none", place, "TestNobodyIsSentToAServerThatTakesNone"},
		{"clients are sent to a server that takes none, by servers", all, "TestFaultRedirectAnywhere"},
		{"clients on their way are not counted", place, "TestFaultUncounted"},
		{"a client follows redirects for ever", conn, "TestFaultNoLoopGuard"},
		{"any certificate is believed behind a redirect", conn, "TestFaultNoVerificationBehindRedirect"},
		{"both streams of a pair go to one server", conn, "TestPair"},
		{"both streams of a pair are sent to one server", conn, "TestPairIsNotSentTogether"},
		{"logins that take longer are given up for ever", conn, "TestSlowLogin"},
		{"nobody waits for the turn to log in, or all wait for ever", "xmppd/c2s", "TestLoginsWaitInLine"},
	}
}

// shared are mistakes of records that servers keep together.
func shared() []mutant {
	const records = "xmppd/store/replicated"
	return []mutant{
		{"records: told before a majority has them", records, "TestSeededFaults/acknowledged_is_on_a_majority/true"},
		{"records: a retry under a new sequence", records, "TestSeededFaults/a_retry_is_not_done_twice/true"},
		{"records: an update does not say what it rests on", records, "TestSeededFaults/an_update_sees_the_one_before/true"},
		{"records: a view shows what is here", records, "TestSeededFaults/a_view_sees_what_was_acknowledged/true"},
		{"records: what is decided is not carried out by who reads", records, "TestSeededFaults/what_is_decided_is_seen_whole/true"},
		{"records: a large update is carried out before it is decided", records, "TestSeededFaults/what_is_not_decided_is_not_seen/true"},
		{"records: a server that has left joins with its old data", records, "TestLeave"},
		{"records: a server may leave though others are missing", records, "TestNeeded"},
		{"records: there before all older ones are taken over", records, "TestImport"},
		{"records: a server that is back without its data counts as one that has it", records, "TestWipedCountsAtOnce"},
		{"records: a server whose joining was called off holds that it has left", records, "TestJoinCalledOff"},
		{"a store that gets another number forgets its promises", "replication/core", "TestDisownedPromisesStay"},
		{"records: who loses against other servers again and again takes the records for unreachable", records, "TestSeededFaults/who_loses_a_race_has_not_lost_the_group/true"},
		{"records: who is to leave does so after those who join, each time", records, "TestLeaversComeFirst"},
		{"records: a removal that waits for another change is forgotten with its leader", records, "TestRemovalIsRemembered"},
		{"records: a removal that was refused is done later", records, "TestRefusedRemovalIsForgotten"},
		{"records: each of many partitions that can't be reached is waited for in full", records, "TestLostTogether"},
	}
}

// streams are mistakes of data nodes and applications whose two streams are to two servers, and of queues that several share.
func streams() []mutant {
	const (
		app  = "appclient"
		node = "datanode"
	)
	return []mutant{
		{"what went the way of a request that came back waits for its time-out", app, "TestBounceOfAnAddress"},
		{"a data node that has lost one of two streams is taken for gone", node, "TestSecondAddress"},
		{"what was sent by a stream that ended waits for its time-out", app, "TestStreamEnds"},
		{"large stanzas of a client stop the read loop", node, "TestReadLoopDoesNotWait"},
		{"all answers of a client go out at once", node, "TestAnswersTakeTurns"},
		{"one fast sender ends a trusted session whose queue is small", "xmppd/session", "TestShareBitesFirst"},
		{"senders to a data node don't take turns", "xmppd/session", "TestSendersTakeTurns"},
	}
}

// promised are mistakes about what senders are told, and what a server still has when it is stopped.
func promised() []mutant {
	return []mutant{
		{"a server that is back looks for what was kept before all of it is", "xmppd/cluster/exchange", "TestReturnedIsKeptBeforeAServerLooks"},
		{"a server that was cut off from several looks when one has told it to", "xmppd/cluster/exchange", "TestLookWaitsForAll"},
		{"what was taken earlier is kept behind what came later", "xmppd/modules/offline", "TestSince"},
		{"what is put before others gets the key of one that is about to be removed", "xmppd/modules/offline", "TestSinceIsNoKeyOfBefore"},
		{"records of contacts that can't be had are waited for in turn", "xmppd/im", "TestPartsAreNotWaitedForInTurn"},
		{"a client's stanza is acknowledged while it waits for the directory", "xmppd", "TestNoticesAcksTogether"},
		{"a client goes on elsewhere before what it has sent is stored", "xmppd", "TestNoticesMoverOvertakes"},
		{"a server is drained while messages wait in it", "xmppd", "TestNoticesDrainedEarly"},
		{"a server stops before it has stored what it has taken", "xmppd", "TestNoticesHastyStop"},
		{"counts of a link fall back when a server is not listed for a while", "xmppd/cluster/link", "TestNoticesForgottenCounters"},
		{"what may be kept is said to have failed", "xmppd/modules/offline", "TestUncertain"},
		{"what may be kept is delivered beside", "xmppd/modules/offline", "TestUncertainBehindOthers"},
		{"what may have had effect is said to have failed", "xmppd/router", "TestUncertain"},
	}
}
