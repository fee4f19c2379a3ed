package main

import "slices"

// mutant is a mistake that a test plants into the code, and the test that says
// whether the checks turned red.
type mutant struct {
	name string // the mistake
	pkg  string // of the test, below the module
	test string // as go test names it; of a test with subtests, one of them
}

// mutants lists the mistakes. A new safety property comes with a line here.
func mutants() []mutant {
	const (
		app   = "appclient"
		chaos = "test/chaos"
		core  = "replication/core"
		feeds = "replication"
		log   = "replication/wal"
		node  = "datanode"
		rings = "ring"
		sim   = "test/sim"
		state = "replication/state"
	)
	return append(slices.Concat(repairs(), judges(), moves(), clients(), confirmations(), kept(), cluster()), []mutant{
		{"acknowledged before the fsync", sim, "TestFaults/acknowledged_before_the_fsync"},
		{"acknowledged before the fsync, over processes", chaos, "TestPlants/ack-before-fsync"},
		{"a disk that lies about fsync, over processes", chaos, "TestPlants/lying-disk"},
		{"log does not sync", sim, "TestFaults/WAL_does_not_sync"},
		{"log does not sync, crash at each write", log, "TestSeededFaults/acknowledgement_before_fsync"},
		{"log believes wrong checksums", sim, "TestFaults/WAL_believes_wrong_checksums"},
		{"promise (vote) not persisted", core, "TestVoteSurvivesCrash"},
		{"wiped disk taken for the old member, engine", sim, "TestFaults/wiped_disk_taken_for_the_old_node"},
		{"wiped disk taken for the old member, messages", node, "TestOnlyMembersVote"},
		{"two nodes with one identity: a second store under an account throws out the first", node, "TestTwinIsSeen"},
		{"receipt on arrival", node, "TestReceiptComesWhenDurable"},
		{"memory of values used again too early", node, "TestValuesStayTheirOwn"},
		{"no dedupe", sim, "TestFaults/no_dedupe"},
		{"no dedupe, over processes", chaos, "TestPlants/no-dedupe"},
		{"stale read beyond its bound, over processes", chaos, "TestPlants/stale-unbound"},
		{"a retry under a new sequence", app, "TestNewSequenceOnRetryIsSeen"},
		{"retry below the floor executed", sim, "TestFaults/retry_below_the_floor_executed"},
		{"floor passes operations under way", app, "TestFloorBugIsSeen"},
		{"floor passes unknown outcomes", app, "TestFloorPassesUnknownIsSeen"},
		{"failed condition unrecorded", sim, "TestFaults/failed_condition_unrecorded"},
		{"settled, but not recorded", state, "TestSeededFaults/settled,_but_not_recorded"},
		{"unknown outcome told as not applied", app, "TestUnknownToldAsUnavailableIsSeen"},
		{"applied position outside the transaction", sim, "TestFaults/applied_position_outside_the_transaction"},
		{"snapshot without the dedupe table", sim, "TestFaults/snapshot_without_sessions"},
		{"snapshot put in place incomplete, or out of order", state, "TestStagingFaults"},
		{"expiry by the local clock", state, "TestSeededFaults/expiry_by_the_local_clock"},
		{"an increment counted twice", state, "TestSeededFaults/no_dedupe"},
		{"position of changes from the wall clock", state, "TestSeededFaults/watch_position_from_the_clock"},
		{"snapshot without the history", state, "TestSeededFaults/snapshot_without_the_history"},
		{"index not told of expiry", state, "TestSeededFaults/index_not_told_of_expiry"},
		{"read without confirmation", sim, "TestFaults/read_without_confirmation"},
		{"stale read beyond its bound", sim, "TestFaults/stale_bound_ignored"},
		{"age of a state counted from its confirmation's end", core, "TestAgeCountsFromTheRoundsBeginning"},
		{"log of a stop in good order taken for torn", log, "TestDamageAfterStop"},
		{"changes read looked at before it is registered", feeds, "TestNoEventIsMissedWhileParking"},
		{"reads of changes answered by a learner", core, "TestOnlyTheFitFeed/learner"},
		{"reads of changes answered by a replica that is cut off", core, "TestOnlyTheFitFeed/cut_off"},
		{"reads of changes answered by a replica far behind", core, "TestOnlyTheFitFeed/behind"},
		{"reads of changes answered by a replica that no append reaches", core, "TestTheStarvedDoNotFeed"},
		{"reads of changes kept by a replica that is cut off", feeds, "TestChangesLeaveAnUnfitReplica"},
		{"a watch sent to the leader asks anybody", app, "TestWatchGoesToTheLeader"},
		{"a full leader keeps leading", core, "TestNoRoomHandsOverAtOnce"},
		{"a client gives up at the first full disk", app, "TestFullLeaderIsNoError"},
		{"increment told before it is durable", app, "TestMergedTooEarlyIsSeen"},
		{"transaction without a check of its reads", app, "TestUpdateSeesInterference"},
		{"watch revision from the wall clock", state, "TestSeededFaults/watch_position_from_the_clock"},
		{"watch loses its place", app, "TestWatchResumes"},
		{"questions of an ended watch left waiting", app, "TestWatchCallsOff"},
		{"ring: a row moves without its group's word", rings, "TestAdvanceTakesOnlyWhatIsReached/no_report"},
		{"ring: a joint configuration taken for reached", rings, "TestAdvanceTakesOnlyWhatIsReached/joint"},
		{"ring: a word of before the round counts", rings, "TestAdvanceTakesOnlyWhatIsReached/of_before_the_round"},
		{"ring: who leaves is removed before the end", rings, "TestAdvanceGoesOn"},
		{"joint change skipped", core, "TestSeededBugsOfChanges/joint_change_skipped"},
		{"leadership kept after removal", core, "TestSeededBugsOfChanges/leadership_kept_after_removal"},
		{"leadership kept after removal, under storms", sim, "TestFaults/leadership_kept_after_removal"},
		{"truncation past a learner", core, "TestSeededBugsOfChanges/truncation_past_a_learner"},
		{"replica deleted by a document", core, "TestSeededBugsOfChanges/replica_deleted_by_a_document"},
		{"an empty replica votes", core, "TestSeededBugsOfChanges/an_empty_replica_votes"},
		{"old voters forgotten too early", core, "TestSeededBugsOfChanges/old_voters_are_forgotten_too_early"},
		{"session serves everybody", state, "TestSeededFaults/a_session_serves_everybody"},
		{"grants for everybody", node, "TestAccess"},
		{"one queue for all accounts", node, "TestAFloodWaitsForItself"},
		{"log time not causal", node, "TestLogTimeIsCausal"},
		{"a cut with an entry that is too late", state, "TestCutHasWhatWasBefore"},
		{"a peer's batch used after its memory was given back", core, "TestNothingOfABatchIsKept"},
		{"later appends overtake a large one", core, "TestALargeAppendLeavesOnce"},
		{"what is outdated is sent all the same", node, "TestOutdatedIsDropped"},
		{"a revision compared while expired objects wait for their removal", state, "TestBacklog"},
		{"a transaction believes a revision that does not count what has expired", app, "TestUpdateDuringExpiry"},
		{"a burst of opens takes all places for sessions", state, "TestSessionsOfOneOwner"},
		{"a session in use is ended for a new one of its owner", state, "TestUsedSessionStays"},
		{"a watch by revision goes on by position within an entry", app, "TestWatchWithinEntry"},
		{"results of reads held without bounds", node, "TestAnswersAreBounded"},
		{"what does not fit an IQ is not read", app, "TestReadsLargerThanAnIQ"},
		{"a batch that no node takes is sent", app, "TestBatchesTooLarge"},
	}...)
}

// moves are mistakes with groups that move, and with members that take the place of others.
func moves() []mutant {
	const (
		core = "replication/core"
		sim  = "test/sim"
	)
	return []mutant{
		{"what is for another member taken", core, "TestOnlyWhatIsForTheMember"},
		{"what is for another member taken, under storms", sim, "TestFaults/what_is_for_another_member_taken"},
		{"of too many replicas the living are dropped first", core, "TestTheDeadAreDroppedFirst"},
		{"snapshots are sent as fast as they are made", "replication", "TestSnapshotsKeepToTheirRate"},
		{"a learner takes snapshots for ever while much is written", core, "TestALearnerIsNotOutrun"},
		{"learner taken out because it was away", core, "TestLearnersGetTheirTime"},
	}
}

// kept are mistakes with what the engine and the ring keep, and for how long.
func kept() []mutant {
	const (
		core  = "replication/core"
		node  = "datanode"
		sim   = "test/sim"
		state = "replication/state"
	)
	return []mutant{
		{"a session's floor falls, at the step", sim, "TestFaults/floor_follows_a_late_copy"},
		{"indexes of the ring not told to partitions", sim, "TestFaults/indexes_not_told_to_partitions"},
		{"batches of another version dropped without a word", "replication", "TestMixedVersions"},
		{"any number of answers is kept for an owner", state, "TestAnswersOfOneOwner"},
		{"a batch makes any number of entries in indexes", state, "TestIndexedByOneBatch"},
		{"an object has entries of any size in an index", state, "TestEntriesOfOneObject"},
		{"what a write makes in indexes does not count for its account's turns", node, "TestIndexedWritesTakeTurns"},
		{"a command is given back before its entry is made", core, "TestSpentCommands"},
		{"a short log is kept while a follower is away", core, "TestLogKeptForWhoIsAway"},
		{"a snapshot is dropped before anybody could ask for it", core, "TestPictureHasItsTurn"},
		{"ring: a change called off leaves the number of replicas that it was to make", "ring", "TestCancelTakesNumberBack/planted:_the_number_stays"},
	}
}

// clients are mistakes about what a client, or a node, makes of an answer.
func clients() []mutant {
	const (
		app  = "appclient"
		node = "datanode"
	)
	return []mutant{
		{"transaction ended by its own condition, though its reads have changed", app, "TestUpdateRunsAgainForItsReads"},
		{"refusals of one account hide another's, or strangers are counted as malformed", node, "TestEveryRefusalIsCountedAndLogged"},
		{"a watch of an index begins where a partition has not heard of that", app, "TestWatchBeginsWhereIndexIsKnown"},
		{"a node that knows no ring denies", node, "TestWhoServesNothingDeniesNothing"},
		{"a stanza of the largest size that servers take ends its receiver's stream", "internal/xmppconn", "TestTakesWhatServersPassOn"},
		{"a request of which parts were refused is taken for malformed", node, "TestRefusedPartsAreNoMistake"},
		{"reads of changes pass those whose turn it is", node, "TestChangesTakeTurns"},
		{"a read of changes does not tell that its turn is over", "replication", "TestParkedIsTold"},
		{"a quiet watch falls behind the history", "replication", "TestChangesThatWaitKeepUp"},
		{"what a killed process had written counts before it is durable", "replication/wal", "TestKilledThenPowerCut"},
		{"an older log beside the state is taken", "replication", "TestAnOlderLogAloneStopsTheNode"},
		{"an older copy of the whole directory is not told from other failures", "replication", "TestAnOlderCopyStopsTheNode"},
		{"one store twice: who is thrown out fights for its place", "internal/xmppconn", "TestConflictEndsRun"},
		{"a member that leaves keeps what it leads", "replication/core", "TestLeadershipsLeaveAtOnce"},
		{"what is sent of a snapshot is not told before it is complete", "replication/core", "TestCopiedBytesAreTold"},
		{"progress counts more bytes than there are to copy, or no copies under way", "internal/admin", "TestProgressCountsCopiesUnderWay"},
	}
}

// confirmations are mistakes with reads that clients confirm.
func confirmations() []mutant {
	const (
		app    = "appclient"
		core   = "replication/core"
		driver = "replication"
		node   = "datanode"
		sim    = "test/sim"
	)
	return []mutant{
		{"any term confirms a read, under storms", sim, "TestFaults/any_term_confirms_a_read"},
		{"any term confirms a read", app, "TestOtherTermConfirmsNothing"},
		{"read confirmed by what was said before it", sim, "TestFaults/read_confirmed_before_it_began"},
		{"leader answers before its term has an entry, under storms", sim, "TestFaults/leader_answers_before_its_term"},
		{"leader answers before its term has an entry", core, "TestLeaderVouchesForNothingBeforeItsTerm"},
		{"terms and commits told late, under storms", sim, "TestFaults/terms_and_commits_told_late"},
		{"terms and commits told late", driver, "TestStandingIsPublishedFirst"},
		{"learners confirm reads", core, "TestVotersAloneConfirm"},
		{"another disk confirms reads for a voter", node, "TestTermsAreForTheMemberAsked"},
	}
}

// repairs are mistakes in finding and mending what is damaged.
func repairs() []mutant {
	const (
		core  = "replication/core"
		log   = "replication/wal"
		node  = "replication"
		sim   = "test/sim"
		state = "replication/state"
	)
	return []mutant{
		{"state of another store taken", node, "TestStateOfAnotherStore"},
		{"newest segment of the log missing, and not missed", log, "TestNewestSegmentMissing"},
		{"word of an earlier pull of a snapshot taken for the present", core, "TestStagedOfAnEarlierPull"},
		{"a group has never its turn to be compared", node, "TestScrubsInTurn"},
		{"digests of different positions compared", core, "TestDigests"},
		{"digests of different positions compared, under storms", sim, "TestFaults/digests_of_different_indexes_compared"},
		{"a replica found wrong is trusted again by a restart", state, "TestCondemned"},
		{"a replica found wrong is trusted again, under storms", sim, "TestFaults/condemned_state_trusted_by_a_restart"},
		{"a damaged replica goes on answering", sim, "TestFaults/damaged_state_answers"},
		{"a repair takes an older state", sim, "TestFaults/older_state_taken_by_a_repair"},
		{"entries overtake a repair", core, "TestRepairUnderWrites"},
		{"entries overtake a repair, under storms", sim, "TestFaults/entries_overtake_a_repair"},
		{"entries applied twice behind a repair", sim, "TestFaults/entries_applied_again_after_a_repair"},
	}
}

// judges are mistakes in the books that chaos keeps: doctored, its judges must say so.
func judges() []mutant {
	const chaos = "test/chaos"
	return []mutant{
		{"judged: a write that is lost", chaos, "TestJudges/ledger/lost"},
		{"judged: a count that is doubled", chaos, "TestJudges/counter/twice"},
		{"judged: a scan that tells part of a batch", chaos, "TestJudges/scan/part_of_a_batch"},
		{"judged: a query that leaves an object out", chaos, "TestJudges/query/left_out"},
		{"judged: an object that is there again after its end", chaos, "TestJudges/lapse/there_again"},
		{"judged: a write told as never applied that is there", chaos, "TestJudges/outcome/never_applied_and_there"},
		{"judged: a backup with a later write and not the earlier", chaos, "TestJudges/backup/later_without_earlier"},
		{"judged: a watch of a prefix that leaves a write out", chaos, "TestJudges/stream/left_out"},
		{"judged: a watch of a prefix that stops short", chaos, "TestJudges/stream/the_newest_not_told"},
		{"judged: a page of a scan with an effect and not its cause", chaos, "TestJudges/pair/an_effect_without_its_cause"},
		{"judged: a claim that another has deleted", chaos, "TestJudges/claim/gone"},
		{"judged: a transaction that is done twice", chaos, "TestJudges/transfer/twice"},
		{"judged: a run in which no history was decided", chaos, "TestJudges/history/none_decided"},
		{"judged: an answer that is older than it may be", chaos, "TestJudges/history/an_old_answer"},
	}
}
