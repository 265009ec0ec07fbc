//! Two sectors are competent: a second, linked case.

use smista_store::RejectionKind;

use crate::town::{Town, refused, texts};

#[tokio::test]
async fn the_second_sector_gets_a_case_of_its_own_with_the_messages() {
    let town = Town::new().await;
    let queue = town.queue("test");
    let number = town.open_one("lavori-pubblici").await;
    town.follow_up(&number).await;
    let linked = queue.also(&number, "ambiente", "c'è anche un albero", Some("k")).await.expect("linked");
    assert_ne!(linked.number, number);
    assert_eq!(
        (linked.sector.as_str(), linked.state.as_str(), linked.cause.as_str()),
        ("ambiente", "ready", "linked")
    );
    assert_eq!(
        queue.also(&number, "ambiente", "c'è anche un albero", Some("k")).await.expect("the same"),
        linked
    );
    assert_eq!(
        refused(queue.also(&number, "urp", "altro", Some("k")).await),
        (RejectionKind::KeyReused, "key_reused".to_owned())
    );
    assert_eq!(
        refused(queue.also(&number, "lavori-pubblici", "se stesso", None).await),
        (RejectionKind::WrongState, "same_sector".to_owned())
    );

    let it = town.claim_one("ambiente").await;
    assert_eq!(it.number, linked.number);
    assert_eq!(it.messages.as_array().map(Vec::len), Some(2));
    assert_eq!(it.attachments.as_array().map(Vec::len), Some(2));
    assert_eq!(queue.take(it.lease).await.expect("taken").state, "taken");
    // What is written on the first case later belongs to its own sector.
    town.follow_up(&number).await;
    let case = town.queue_show(&linked.number).await.expect("read").expect("there");
    assert_eq!((case.message_list.len(), case.linked_to.as_deref()), (2, Some(number.as_str())));
    assert_eq!(case.related[0].number, number);
    assert_eq!(case.decision["linked"]["reason"], "c'è anche un albero");
    // Each goes its own way.
    queue.close(&linked.number, "potato", None).await.expect("closed");
    assert_eq!(town.claim_one("lavori-pubblici").await.number, number);
    town.assert_sound().await;
}

#[tokio::test]
async fn a_sector_can_link_another_without_seeing_its_case() {
    let town = Town::new().await;
    let number = town.open_one("lavori-pubblici").await;
    let mut works = town.connect_as(&["lavori-pubblici"]).await;
    let mut green = town.connect_as(&["ambiente"]).await;
    let linked = texts(&mut works, &format!("select number from also('{number}', 'ambiente', 'un albero')"))
        .await
        .expect("linked");
    assert!(
        texts(&mut works, &format!("select number from my_cases where number = '{}'", linked[0]))
            .await
            .expect("read")
            .is_empty()
    );
    let mine = texts(&mut green, "select number from my_cases").await.expect("read");
    assert_eq!(mine, linked);
    let messages = texts(&mut green, "select number from my_messages").await.expect("read");
    assert_eq!(messages, linked);
    assert_eq!(texts(&mut green, "select name from my_attachments").await.expect("read"), ["foto.jpg"]);
    town.assert_sound().await;
}
